use session_core::{Authentication, CredentialTag, Opened, Session, SessionId, Subject, Timestamp};

/// Who and what a session is, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionInfo {
    /// What the client's token turned out to be.
    pub opened: Opened,
    /// The public id; `None` while nothing is stored.
    pub id: Option<SessionId>,
    /// The user who is logged in.
    pub subject: Option<Subject>,
    /// When and how strongly the user authenticated.
    pub authentication: Option<Authentication>,
    /// What the login stored of the credential.
    pub credential_tag: Option<CredentialTag>,
    /// When the session was created.
    pub created_at: Option<Timestamp>,
    /// When the session ends if it is not used any more.
    pub expires_at: Option<Timestamp>,
    /// When the session ends in any case.
    pub deadline: Option<Timestamp>,
    /// Whether this request comes from another client than the one before, see
    /// [`ClientNotice`](crate::ClientNotice).
    pub client_changed: bool,
}

impl SessionInfo {
    pub(super) fn of(session: &Session, client_changed: bool) -> Self {
        Self {
            opened: session.opened(),
            id: session.id(),
            subject: session.subject().cloned(),
            authentication: session.authentication(),
            credential_tag: session.credential_tag().cloned(),
            created_at: session.created_at(),
            expires_at: session.expires_at(),
            deadline: session.deadline(),
            client_changed,
        }
    }

    /// The name of the user who is logged in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.subject.as_ref().map(Subject::name)
    }
}
