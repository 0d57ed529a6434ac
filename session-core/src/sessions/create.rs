use super::Sessions;
use crate::events::Event;
use crate::id::Revision;
use crate::payload::{self, Content};
use crate::random::RandomUnavailable;
use crate::realm::Subject;
use crate::record::{Authentication, CredentialTag, MAX_PAYLOAD_LEN, Record, RecordParts};
use crate::session::SessionError;
use crate::store::{CreateOutcome, SessionStore};
use crate::token::{SecretHash, SessionToken};

/// How many ids are tried. Two equal ids in a row already mean a broken random source.
const ID_TRIES: u32 = 4;

/// The user of a new record.
pub(super) struct NewUser {
    pub(super) subject: Subject,
    pub(super) level: u8,
    pub(super) credential_tag: Option<CredentialTag>,
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Stores a new session, and returns it with the token that opens it.
    ///
    /// A create whose outcome is unknown is never settled by looking: whatever may be there is deleted, and
    /// one more session is created under another id, so that a token is handed out only for a create
    /// that was confirmed.
    pub(super) async fn create(
        &self,
        content: &Content,
        user: Option<NewUser>,
    ) -> Result<(Record, SessionToken), SessionError> {
        let limit = if user.is_some() { MAX_PAYLOAD_LEN } else { self.config.anonymous_payload };
        let payload = payload::encode(content, self.config.codec, limit)?;
        let lifetimes = self.config.lifetimes(user.as_ref().map(|user| &user.subject));
        let mut one_was_unknown = false;
        for _ in 0..ID_TRIES {
            let now = self.now();
            let deadline = lifetimes.deadline(now);
            let token = SessionToken::random(&*self.config.random)?;
            let record = Record::from_parts(RecordParts {
                id: token.id(),
                revision: Revision::random(&*self.config.random)?,
                secret_hash: SecretHash::of(&token, &self.config.realm),
                previous: None,
                subject: user.as_ref().map(|user| user.subject.clone()),
                created_at: now,
                expires_at: lifetimes.expires_at(now, deadline),
                deadline,
                authentication: user
                    .as_ref()
                    .map(|user| Authentication { at: now, level: user.level }),
                credential_tag: user.as_ref().and_then(|user| user.credential_tag.clone()),
                payload: payload.clone(),
            });
            match self.store.create(&record, now).await {
                Ok(CreateOutcome::Created) => {
                    Event::Created.emit(Some(record.id()));
                    return Ok((record, token));
                }
                Ok(CreateOutcome::Exists) => {}
                Err(error) if error.is_outcome_unknown() && !one_was_unknown => {
                    one_was_unknown = true;
                    // Best effort: nobody has the token, and the record ends by itself.
                    let _ = self.store.delete(record.id(), now).await;
                    Event::Settled.emit_error(Some(record.id()), &error);
                }
                Err(error) => {
                    Event::StoreFailed.emit_error(Some(record.id()), &error);
                    return Err(error.into());
                }
            }
        }
        Err(RandomUnavailable.into())
    }
}
