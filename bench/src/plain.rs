//! Anything that reads and writes values by key as a contestant: raw drivers, and peers, which compare no
//! revisions.

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{BoxError, SessionId};

use crate::backend::{Batch, Contestant, Op, Standing};
use crate::payload;
use crate::sessions::Work;

/// One task's access to the values.
#[async_trait]
pub(crate) trait Client: Send {
    /// Reads a value; `false` if there is none.
    async fn load(&mut self, id: &SessionId) -> Result<bool, BoxError>;
    /// Writes a new value.
    async fn create(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError>;
    /// Writes over a value.
    async fn update(&mut self, id: &SessionId, value: Bytes) -> Result<(), BoxError>;
    /// Prolongs a value's life; `false` if there is none.
    async fn touch(&mut self, id: &SessionId) -> Result<bool, BoxError>;
    /// Removes a value; `false` if there is none.
    async fn delete(&mut self, id: &SessionId) -> Result<bool, BoxError>;
}

/// A driver or peer with the value that it gets to hold.
pub(crate) struct Plain {
    pub(crate) name: String,
    pub(crate) standing: Standing,
    pub(crate) client: Box<dyn Fn() -> Box<dyn Client> + Send + Sync>,
    pub(crate) value: Bytes,
}

impl Contestant for Plain {
    fn name(&self) -> &str {
        &self.name
    }

    fn standing(&self) -> Standing {
        self.standing
    }

    fn prepare(&self, op: Op, works: &[Work]) -> Box<dyn Batch> {
        let value = |work: &Work| match op {
            Op::Create | Op::CreateWithSubject => payload::copy(&self.value),
            Op::Update => payload::changed(&self.value, work.expires_at.as_millis()),
            Op::Load | Op::Touch | Op::Delete => Bytes::new(),
        };
        let calls = works.iter().map(|work| (work.session.id, value(work))).collect();
        Box::new(PlainBatch { client: (self.client)(), op, calls })
    }
}

struct PlainBatch {
    client: Box<dyn Client>,
    op: Op,
    calls: Vec<(SessionId, Bytes)>,
}

#[async_trait]
impl Batch for PlainBatch {
    async fn run(&mut self) -> Result<(), BoxError> {
        let client = &mut *self.client;
        let calls = self.calls.drain(..);
        match self.op {
            Op::Load => {
                for (id, _) in calls {
                    expect(client.load(&id).await?)?;
                }
            }
            Op::Create | Op::CreateWithSubject => {
                for (id, value) in calls {
                    client.create(&id, value).await?;
                }
            }
            Op::Update => {
                for (id, value) in calls {
                    client.update(&id, value).await?;
                }
            }
            Op::Touch => {
                for (id, _) in calls {
                    expect(client.touch(&id).await?)?;
                }
            }
            Op::Delete => {
                for (id, _) in calls {
                    expect(client.delete(&id).await?)?;
                }
            }
        }
        Ok(())
    }
}

fn expect(found: bool) -> Result<(), BoxError> {
    if found { Ok(()) } else { Err("a value is missing".into()) }
}
