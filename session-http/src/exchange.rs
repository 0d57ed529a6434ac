//! One request and its response.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::lock::{Mutex, MutexGuard};
use session_core::{CommitOutcome, Session, SessionError, SessionStore, Sessions, Timestamp};

use crate::client::{Client, ClientNotice};
use crate::csrf::Origin;
use crate::error::Error;
use crate::events;
use crate::handle::SessionHandle;
use crate::head::{RequestHead, ResponseHead};
use crate::header::ResponseHeader;
use crate::local_url::LocalUrl;
use crate::site::{Config, Site, Sites, WhenDown};
use crate::transport::Kept;

/// The session's side of one request: begun with its head, finished before the head of the response leaves.
///
/// What a framework crate does, and all that it does:
///
/// 1. [`begin`](Self::begin), and give the [`handle`](Self::handle) to the handlers;
/// 2. when they have answered, [`finish`](Self::finish) with the status, **in a task of its own**, so that it runs
///    to its end when the client goes away;
/// 3. [`apply`](Conclusion::apply) what comes out to the response, and send it.
///
/// An exchange that is dropped before commits nothing: when a handler panics, and when the client goes away while
/// the handlers still work.
pub struct Exchange {
    shared: Arc<Shared>,
}

impl Exchange {
    /// Begins the exchange of the request with this head. Makes no call to the store: the session is opened when a
    /// handler first uses it.
    #[must_use]
    pub fn begin(sites: &Sites, head: &dyn RequestHead) -> Self {
        let site = sites.of(head);
        let config = site.as_ref().map(Site::config);
        let presented = config.map_or(Kept::Nothing, |config| config.transport.read(head));
        let client = config.and_then(|it| it.client_notice.as_ref()).map(|notice| notice.of(head));
        Self {
            shared: Arc::new(Shared {
                presented,
                client,
                origin: Origin::of(head),
                login: config.and_then(|it| it.login_page.as_ref()).map(|page| page.before(head)),
                is_looked_at: AtomicBool::new(false),
                carries_on: AtomicBool::new(
                    config.is_some_and(|it| it.when_down == WhenDown::Anonymous),
                ),
                is_closed: AtomicBool::new(false),
                slot: Mutex::new(Slot::Unopened),
                site,
            }),
        }
    }

    /// What the handlers get. Clones see one session.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        SessionHandle::new(Arc::clone(&self.shared))
    }

    /// Commits what the handlers changed, and says what this means for their response, which has this status.
    ///
    /// - Nothing is committed after a status of 500 and above. What was written at once (a login, a logout) stands,
    ///   and its token goes to the client.
    /// - When the commit fails, the response becomes an error that carries no token.
    /// - When the session could not be read, and the handlers answered as if nothing had been, the response
    ///   becomes an error too, unless they were told to carry on.
    ///
    /// Waits for what the handlers still have under way on the session. Ends within the deadlines of the store.
    pub async fn finish(self, status: u16) -> Conclusion {
        self.shared.is_closed.store(true, Ordering::Release);
        let Some(site) = &self.shared.site else { return Conclusion::untouched() };
        if !self.shared.is_looked_at.load(Ordering::Acquire) {
            return Conclusion::untouched();
        }
        let config = site.config();
        let (error_status, token) = match self.commit(config, status).await {
            Ok(token) => (None, token),
            Err(error) => (Some(error.status()), None),
        };
        Conclusion {
            error_status,
            token,
            vary: Some(config.transport.vary()),
            retry_after: (error_status.unwrap_or(status) == 503).then_some(config.retry_after),
        }
    }

    async fn commit(&self, config: &Config, status: u16) -> Result<Option<ResponseHeader>, Error> {
        let sessions = &config.sessions;
        let mut turn = match Turn::take(self.shared.slot.lock().await, sessions) {
            Ok(turn) => turn,
            // Nobody got as far as opening the session.
            Err(Error::Closed) => return Ok(None),
            Err(error) => {
                if matches!(error, Error::Interrupted) {
                    events::interrupted();
                }
                let is_answered = status >= 400 || self.shared.carries_on();
                return if is_answered { Ok(None) } else { Err(error) };
            }
        };
        let committed = match status {
            500.. => Ok(CommitOutcome::Unchanged),
            _ => sessions.commit(turn.session()).await,
        };
        let session = turn.session();
        let left = session.deadline().unwrap_or(Timestamp::MIN).since(sessions.now());
        let header = committed.map(|_| config.transport.tell(session.token_change(), left));
        turn.end();
        Ok(header?)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("site", &self.shared.site).finish_non_exhaustive()
    }
}

/// What an exchange means for the response.
#[derive(Debug)]
#[must_use = "the client has to be told"]
pub struct Conclusion {
    error_status: Option<u16>,
    token: Option<ResponseHeader>,
    vary: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Conclusion {
    const fn untouched() -> Self {
        Self { error_status: None, token: None, vary: None, retry_after: None }
    }

    /// The status of the error that the response has to become, if it has to.
    #[must_use]
    pub const fn error_status(&self) -> Option<u16> {
        self.error_status
    }

    /// Brings the response into the state in which it may leave.
    ///
    /// A request that looked at its session has a response for its client alone: `Vary`, and
    /// `Cache-Control: private, no-store` unless the handler said something else. One that did not is left as it is.
    pub fn apply(&self, head: &mut dyn ResponseHead) {
        if let Some(status) = self.error_status {
            head.replace(status);
        }
        if let Some(retry_after) = self.retry_after
            && !head.has("retry-after")
        {
            head.append("retry-after", &retry_after.as_secs().to_string());
        }
        let Some(vary) = self.vary else { return };
        head.append("vary", vary);
        if !head.has("cache-control") {
            head.append("cache-control", "private, no-store");
        }
        if let Some(token) = &self.token {
            head.append_token(token.name(), token.value());
        }
    }
}

/// What the exchange and its handles share.
pub(crate) struct Shared {
    pub(crate) site: Option<Site>,
    presented: Kept,
    pub(crate) client: Option<Client>,
    pub(crate) origin: Origin,
    /// Where the user can log in, and is sent back from.
    pub(crate) login: Option<LocalUrl>,
    is_looked_at: AtomicBool,
    carries_on: AtomicBool,
    is_closed: AtomicBool,
    /// The tasks of one request take turns at its session.
    slot: Mutex<Slot>,
}

/// Where the session of a request is.
pub(crate) enum Slot {
    Unopened,
    Open(Box<Opened>),
    /// The store could not say. What is seen instead, where the request carries on, is an empty session.
    Unavailable(Arc<SessionError>, Box<Session>),
    /// Somebody took the session for a write, and did not come back with it.
    Interrupted,
}

pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) client_changed: bool,
}

impl Shared {
    pub(crate) fn config(&self) -> Result<&Config, Error> {
        self.site.as_ref().map(Site::config).ok_or(Error::NoSite)
    }

    pub(crate) fn carry_on(&self) {
        self.carries_on.store(true, Ordering::Release);
    }

    pub(crate) fn carries_on(&self) -> bool {
        self.carries_on.load(Ordering::Acquire)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Waits for its turn, and opens the session if nobody has.
    pub(crate) async fn slot(&self) -> Result<MutexGuard<'_, Slot>, Error> {
        let config = self.config()?;
        self.is_looked_at.store(true, Ordering::Release);
        let mut slot = self.slot.lock().await;
        if matches!(*slot, Slot::Unopened) {
            self.check_open()?;
            *slot = self.open(config).await?;
        }
        Ok(slot)
    }

    async fn open(&self, config: &Config) -> Result<Slot, Error> {
        let sessions = &config.sessions;
        let token = match &self.presented {
            Kept::Nothing => None,
            Kept::Token(text) => Some(text.as_slice()),
            Kept::Malformed => Some(&[] as &[u8]),
            Kept::Several => {
                events::token_twice();
                None
            }
        };
        match sessions.open(token).await {
            Ok(session) => Ok(Slot::Open(Box::new(self.noticed(session)?))),
            Err(error) => {
                let empty = sessions.open(None).await?;
                Ok(Slot::Unavailable(Arc::new(error), Box::new(empty)))
            }
        }
    }

    /// Looks whether the client is the one that logged in.
    fn noticed(&self, mut session: Session) -> Result<Opened, Error> {
        let mut client_changed = false;
        if let (Some(client), Some(_)) = (&self.client, session.subject())
            && let Ok(Some(known)) = session.data().get::<Client>(ClientNotice::KEY)
            && known != *client
        {
            client_changed = true;
            events::client_changed(session.id(), client);
            session.data_mut().insert(ClientNotice::KEY, client)?;
        }
        Ok(Opened { session, client_changed })
    }
}

impl Slot {
    /// The session, to be changed.
    pub(crate) fn opened(&mut self) -> Result<&mut Opened, Error> {
        match self {
            Self::Open(opened) => Ok(opened),
            other => Err(other.trouble()),
        }
    }

    /// The session, to be read, or the empty one that stands in for it.
    pub(crate) fn seen(&self, carries_on: bool) -> Result<(&Session, bool), Error> {
        match self {
            Self::Open(opened) => Ok((&opened.session, opened.client_changed)),
            Self::Unavailable(_, empty) if carries_on => Ok((empty, false)),
            other => Err(other.trouble()),
        }
    }

    /// Why there is no session.
    fn trouble(&self) -> Error {
        match self {
            Self::Unavailable(error, _) => Error::Session(Arc::clone(error)),
            Self::Interrupted => Error::Interrupted,
            Self::Open(_) | Self::Unopened => Error::Closed,
        }
    }
}

/// A session that was taken out of its slot for a write. If the write is dropped half-way, the slot stays
/// [`Slot::Interrupted`], since nobody knows what the store did.
pub(crate) struct Turn<'a> {
    slot: MutexGuard<'a, Slot>,
    opened: Box<Opened>,
    pub(crate) sessions: &'a Sessions<dyn SessionStore>,
}

impl<'a> Turn<'a> {
    pub(crate) fn take(
        mut slot: MutexGuard<'a, Slot>,
        sessions: &'a Sessions<dyn SessionStore>,
    ) -> Result<Self, Error> {
        match mem::replace(&mut *slot, Slot::Interrupted) {
            Slot::Open(opened) => Ok(Self { slot, opened, sessions }),
            other => {
                *slot = other;
                Err(slot.trouble())
            }
        }
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.opened.session
    }

    /// Puts the session back.
    pub(crate) fn end(mut self) {
        *self.slot = Slot::Open(self.opened);
    }
}
