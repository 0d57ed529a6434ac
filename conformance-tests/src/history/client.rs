//! What one of several clients does to a session.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Record, Revision, SessionId, SessionStore, StoreError, Subject, Timestamp};

use super::{Recorder, Sent};
use crate::fresh::{Fresh, random_id};
use crate::rng::Rng;

/// One of several that use the same session at the same time.
pub(crate) struct Client {
    number: usize,
    store: Arc<dyn SessionStore>,
    recorder: Arc<Recorder>,
    rng: Rng,
    id: SessionId,
    subject: Subject,
    base: Timestamp,
    /// The record as this client saw it last; it may be long out of date.
    seen: Option<Record>,
    sent: Sent,
    /// Whether the session is still to be created, where that happens once.
    creates: bool,
}

/// What a client may do.
#[derive(Clone, Copy)]
enum Act {
    Create,
    Load,
    Update,
    Touch,
    Delete,
}

impl Client {
    /// The clients of one session, each with a handle of its own.
    pub(crate) fn each(
        sent: Sent,
        handles: &[Arc<dyn SessionStore>],
        rng: &mut Rng,
        subject: &Subject,
        base: Timestamp,
    ) -> (Arc<Recorder>, SessionId, Vec<Self>) {
        let recorder = Recorder::new(sent);
        let id = random_id(rng);
        let clients = handles.iter().enumerate().map(|(number, store)| Self {
            number,
            store: Arc::clone(store),
            recorder: Arc::clone(&recorder),
            rng: rng.fork(),
            id,
            subject: subject.clone(),
            base,
            seen: None,
            sent,
            creates: sent == Sent::Again && number == 0,
        });
        let clients = clients.collect();
        (recorder, id, clients)
    }

    /// Makes one call, and answers whether its outcome is known. An error says that it had no effect.
    pub(crate) async fn operate(&mut self) -> Result<bool, StoreError> {
        // A store that answers without waiting would else see one client after the other.
        if self.rng.one_in(2) {
            tokio::task::yield_now().await;
        }
        // Clocks and lives are close enough together that no store may have reclaimed anything.
        let now = self.rng.pick(&[0, 0, 0, 30_000, 50_000]);
        let now = self.base.plus(Duration::from_millis(now));
        let answer = match (self.act(), self.seen.take()) {
            (Act::Create, seen) => {
                let record = self.fresh();
                let answer = self.recorder.create(self.number, &*self.store, &record, now).await?;
                self.creates = false;
                self.seen = Some(if self.rng.one_in(4) { seen.unwrap_or(record) } else { record });
                answer
            }
            (Act::Update, Some(seen)) => {
                let change = seen.change(Revision::from_bytes(self.rng.bytes()));
                let mut change = change
                    .payload(format!("by {}: {}", self.number, self.rng.next()))
                    .expires_at(self.later());
                if self.rng.one_in(4) {
                    let until = self.later();
                    change = change
                        .login(self.subject.clone(), until)
                        .unwrap_or_else(|_| seen.change(Revision::from_bytes(self.rng.bytes())));
                }
                let answer = self.recorder.update(self.number, &*self.store, &change, now).await?;
                let keep = self.rng.one_in(3);
                self.seen = Some(if keep { seen } else { change.record().clone() });
                answer
            }
            (Act::Touch, seen) => {
                let until = self.later();
                self.seen = seen;
                self.recorder.touch(self.number, &*self.store, &self.id, until, now).await?
            }
            (Act::Delete, seen) => {
                self.seen = seen;
                self.recorder.delete(self.number, &*self.store, &self.id, now).await?
            }
            (_, seen) => {
                let found = self.recorder.load(self.number, &*self.store, &self.id, now).await?;
                self.seen = found.or(seen);
                return Ok(true);
            }
        };
        Ok(answer.is_some())
    }

    /// Where calls are sent again, the session is created once, as an id is in real life: a delete that is sent
    /// twice would else end two sessions. And it is ended less often.
    fn act(&mut self) -> Act {
        let once = self.sent == Sent::Again;
        match self.rng.below(100) {
            _ if self.creates => Act::Create,
            0..18 if !once => Act::Create,
            18..55 => Act::Update,
            55..68 => Act::Touch,
            68..82 if !once || self.rng.one_in(4) => Act::Delete,
            _ => Act::Load,
        }
    }

    fn fresh(&mut self) -> Record {
        let fresh = Fresh::new(self.rng.fork(), self.base).id(self.id);
        fresh.expires_at(self.later()).deadline(self.later()).record()
    }

    fn later(&mut self) -> Timestamp {
        let millis = self.rng.pick(&[20_000, 40_000, 60_000]);
        self.base.plus(Duration::from_millis(millis))
    }
}
