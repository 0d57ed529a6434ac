use session_core::{
    Authentication, PageRequest, Session, SessionError, SessionId, SessionStore, Sessions, Subject,
    Timestamp,
};

use super::SessionHandle;
use crate::error::Error;

/// A session of the user who is logged in, for a page "your devices".
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Device {
    /// The public id, for [`log_out`](SessionHandle::log_out). Safe to show: it opens nothing.
    pub id: SessionId,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When it was last used, to within a sixth of its idle lifetime, see [`Sessions::last_used`].
    pub last_used: Timestamp,
    /// When it ends if it is not used any more.
    pub expires_at: Timestamp,
    /// When and how strongly the user authenticated.
    pub authentication: Option<Authentication>,
    /// Whether it is the session of this request.
    pub is_current: bool,
}

impl SessionHandle {
    /// The live sessions of the user who is logged in: this one first, then the last used first. The first thousand
    /// of the store's list; for users with more there is [`Sessions::list`].
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] when nobody is logged in, and trouble.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        let info = self.info().await?;
        let subject = info.subject.as_ref().ok_or(SessionError::NotLoggedIn)?;
        let sessions = &self.shared().config()?.sessions;
        let mut devices = list(sessions, subject, info.id).await?;
        devices.sort_by_key(|it| std::cmp::Reverse((it.is_current, it.last_used, it.id)));
        devices.dedup_by_key(|it| it.id);
        Ok(devices)
    }

    /// Ends the session `id`, if it is one of this user's; with this session's own id it is a
    /// [`logout`](Self::logout). Written at once; `true` if it was live until now.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] when nobody is logged in, and trouble. The session may then still be live.
    pub async fn log_out(&self, id: &SessionId) -> Result<bool, Error> {
        let info = self.info().await?;
        let subject = info.subject.ok_or(SessionError::NotLoggedIn)?;
        if info.id == Some(*id) {
            return self.logout().await;
        }
        self.shared().check_open()?;
        Ok(self.shared().config()?.sessions.destroy_one(&subject, id).await?)
    }

    /// Ends every other session of this user, gives this one a new secret, and says how many were live. Written at
    /// once. After a change of password: change it first, then call this.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] when nobody is logged in, and trouble; some of the sessions may then still be
    /// live, and calling it again is safe.
    pub async fn log_out_others(&self) -> Result<u64, Error> {
        let mut turn = self.turn().await?;
        let done = log_out_others(turn.sessions, turn.session()).await;
        turn.end();
        Ok(done?)
    }

    /// Ends every session of this user, this one last, and says how many were live. Written at once.
    ///
    /// # Errors
    ///
    /// As [`log_out_others`](Self::log_out_others).
    pub async fn log_out_everywhere(&self) -> Result<u64, Error> {
        let mut turn = self.turn().await?;
        let done = log_out_everywhere(turn.sessions, turn.session()).await;
        turn.end();
        Ok(done?)
    }
}

async fn list(
    sessions: &Sessions<dyn SessionStore>,
    subject: &Subject,
    own: Option<SessionId>,
) -> Result<Vec<Device>, SessionError> {
    let mut devices = Vec::new();
    let mut request = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let page = sessions.list(subject, &request).await?;
        devices.extend(page.items.into_iter().map(|session| Device {
            id: session.id,
            created_at: session.created_at,
            last_used: sessions.last_used(&session),
            expires_at: session.expires_at,
            authentication: session.authentication,
            is_current: Some(session.id) == own,
        }));
        match page.next {
            Some(next) if devices.len() < usize::from(PageRequest::MAX_LIMIT) => {
                request = PageRequest::first(PageRequest::MAX_LIMIT).after(next);
            }
            _ => return Ok(devices),
        }
    }
}

async fn log_out_others(
    sessions: &Sessions<dyn SessionStore>,
    session: &mut Session,
) -> Result<u64, SessionError> {
    let subject = session.subject().cloned().ok_or(SessionError::NotLoggedIn)?;
    sessions.destroy_all(&subject, Some(session)).await
}

/// The own session comes last, so that after trouble the user is still there to try again.
async fn log_out_everywhere(
    sessions: &Sessions<dyn SessionStore>,
    session: &mut Session,
) -> Result<u64, SessionError> {
    let subject = session.subject().cloned().ok_or(SessionError::NotLoggedIn)?;
    let ended = sessions.destroy_all(&subject, None).await?;
    sessions.destroy(session).await?;
    Ok(ended)
}
