use std::sync::Arc;

use super::Sessions;
use super::commit::{Kept, Purpose, Step};
use super::create::NewUser;
use crate::events::Event;
use crate::id::SessionId;
use crate::payload::Content;
use crate::realm::Subject;
use crate::record::CredentialTag;
use crate::session::{CommitOutcome, Session, SessionError, State};
use crate::store::SessionStore;

/// Who logs in, and how.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_core::{Login, Realm, Subject};
///
/// let alice = Subject::new(&Realm::default(), "alice")?;
/// let login = Login::new(alice).level(2).keeping(["cart"]);
/// # let _ = login; Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a login is nothing before it is given to `Sessions::login`"]
pub struct Login {
    subject: Subject,
    level: u8,
    credential_tag: Option<CredentialTag>,
    kept_keys: Vec<String>,
}

impl Login {
    /// A login of `subject` at level 0, without a credential tag, with nothing carried over.
    pub const fn new(subject: Subject) -> Self {
        Self { subject, level: 0, credential_tag: None, kept_keys: Vec::new() }
    }

    /// How strongly the user authenticated, in the application's own terms; higher is stronger.
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// The version of the credential that was used, to be compared on later requests.
    pub fn credential_tag(mut self, tag: CredentialTag) -> Self {
        self.credential_tag = Some(tag);
        self
    }

    /// Carries the values of these keys over from before the login, beside those named before. All others are
    /// dropped, since whoever used the browser before may have planted them (CWE-384).
    pub fn keeping<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.kept_keys.extend(keys.into_iter().map(Into::into));
        self
    }
}

impl From<Subject> for Login {
    fn from(subject: Subject) -> Self {
        Self::new(subject)
    }
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Logs a user in. Written at once: when this returns, the old token opens nothing any more, on any
    /// server, and the session is in its subject's list.
    ///
    /// - An anonymous session gets a new secret without grace, the subject, the lifetimes of logged-in sessions,
    ///   and **empty data**, but for the keys that were named.
    /// - A session of the same subject is authenticated again: likewise, with its data kept.
    /// - A session of another subject is destroyed, and a new one begun. If it cannot be destroyed, the login
    ///   fails.
    /// - A session that was superseded or ended meanwhile is left alone, and a new one begun with nothing
    ///   carried over.
    ///
    /// Changes made before and not yet committed count as data before the login. Afterwards
    /// [`Session::token_change`] has the new token.
    ///
    /// # Errors
    ///
    /// [`SessionError::WrongSubject`] for a subject of another realm; otherwise as
    /// [`commit`](Sessions::commit). After an error nobody is logged in by this call.
    pub async fn login(
        &self,
        session: &mut Session,
        login: impl Into<Login>,
    ) -> Result<(), SessionError> {
        let login = login.into();
        if login.subject.realm() != self.config.realm.as_str() {
            return Err(SessionError::WrongSubject);
        }
        let subject = login.subject.clone();
        if session.subject().is_some_and(|present| *present != subject) {
            self.destroy(session).await?;
        }
        if let Some(carried) = self.log_in_live(session, &login).await? {
            self.log_in_fresh(session, login, carried).await?;
        }
        self.enforce_limit(&subject, session.id()).await;
        Ok(())
    }

    /// Logs in on the session that there is, or says with which data a fresh one has to begin.
    async fn log_in_live(
        &self,
        session: &mut Session,
        login: &Login,
    ) -> Result<Option<Arc<Content>>, SessionError> {
        let again = session.subject().is_some();
        let live = match &session.state {
            State::Live(live) => live,
            State::New => return Ok(Some(Arc::new(session.data.current().only(&login.kept_keys)))),
            State::Gone(_) => return Ok(Some(Arc::default())),
            State::Unsettled => return Err(SessionError::NotCurrent),
        };
        if live.in_grace {
            // Another request rotated the secret: this one may not do it again.
            let content = session.data.current();
            return Ok(Some(if again {
                Arc::clone(content)
            } else {
                Arc::new(content.only(&login.kept_keys))
            }));
        }
        let step = Step::LogIn {
            subject: login.subject.clone(),
            level: login.level,
            credential_tag: login.credential_tag.clone(),
            kept: if again { Kept::Everything } else { Kept::Keys(login.kept_keys.clone()) },
        };
        let token = self.next_token(live)?;
        match self.write_session(session, Purpose::Secure(token, step)).await? {
            CommitOutcome::Superseded | CommitOutcome::Missing => Ok(Some(Arc::default())),
            CommitOutcome::Saved | CommitOutcome::Unchanged => Ok(None),
        }
    }

    async fn log_in_fresh(
        &self,
        session: &mut Session,
        login: Login,
        content: Arc<Content>,
    ) -> Result<(), SessionError> {
        let user = NewUser {
            subject: login.subject,
            level: login.level,
            credential_tag: login.credential_tag,
        };
        let (record, token) = self.create(&content, Some(user)).await?;
        Event::LoggedIn.emit(Some(record.id()));
        session.data.committed(content);
        session.issued(record, token);
        Ok(())
    }

    /// Records that the user has just proved who they are at `level`, and gives the client a new secret without
    /// grace. Written at once, changes so far included. The absolute deadline stays; the idle one moves as with any
    /// use.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] without a subject; otherwise as [`commit`](Sessions::commit).
    pub async fn elevate(
        &self,
        session: &mut Session,
        level: u8,
    ) -> Result<CommitOutcome, SessionError> {
        match &session.state {
            State::Gone(outcome) => Ok(*outcome),
            State::Unsettled => Err(SessionError::NotCurrent),
            State::Live(live) if live.in_grace => {
                Event::RequestSuperseded.emit(Some(live.record.id()));
                session.gone(CommitOutcome::Superseded);
                Ok(CommitOutcome::Superseded)
            }
            State::Live(live) if live.record.subject().is_some() => {
                let token = self.next_token(live)?;
                self.write_session(session, Purpose::Secure(token, Step::Elevate(level))).await
            }
            State::Live(_) | State::New => Err(SessionError::NotLoggedIn),
        }
    }

    /// Destroys the session. Written at once: when this returns, the session is gone on every server and no
    /// request in flight brings it back. `true` if it was live until now.
    ///
    /// The handle goes on as an empty session: what is written to it afterwards, say a flash message,
    /// begins a new one.
    ///
    /// # Errors
    ///
    /// Whatever the store answers. The session may then still be live: do not tell the user that the logout
    /// succeeded.
    pub async fn destroy(&self, session: &mut Session) -> Result<bool, SessionError> {
        let Some(id) = session.id() else { return Ok(false) };
        let was_live = self.delete(&id).await?;
        Event::Destroyed.emit(Some(&id));
        session.destroyed(&self.config.random);
        Ok(was_live)
    }

    /// Destroys the session `id`, whoever it belongs to: for an administrator, who has seen it in a
    /// [`scan`](crate::Inspect::scan). `true` if it was live until now. A user who ends a session of their own goes
    /// through [`destroy_one`](Sessions::destroy_one), which looks whose it is.
    ///
    /// # Errors
    ///
    /// Whatever the store answers. The session may then still be live.
    pub async fn destroy_by_id(&self, id: &SessionId) -> Result<bool, SessionError> {
        let was_live = self.delete(id).await?;
        if was_live {
            Event::Destroyed.emit(Some(id));
        }
        Ok(was_live)
    }

    async fn delete(&self, id: &SessionId) -> Result<bool, SessionError> {
        let deleted = self.store.delete(id, self.now()).await;
        Ok(deleted.inspect_err(|error| Event::StoreFailed.emit_error(Some(id), error))?)
    }
}
