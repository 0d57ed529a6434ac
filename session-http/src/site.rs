//! What holds for the sessions of one application or tenant, and which one a request belongs to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::{SessionStore, Sessions};

use crate::bearer::BearerPolicy;
use crate::client::ClientNotice;
use crate::cookie::CookiePolicy;
use crate::head::RequestHead;
use crate::local_url::LocalUrl;
use crate::transport::Transport;

/// The sessions of one application or tenant, and how they travel. Clones are cheap.
///
/// [`Sessions`] turn into a site with every default: the production cookie, 503 when the store is down.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use session_core::Sessions;
/// use session_http::{CookiePolicy, Site};
/// # use session_memory::MemoryStore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
/// let site = Site::new(&sessions)
///     .cookie(CookiePolicy::server_rendered())
///     .login_page("/login".parse()?)
///     .retry_after(Duration::from_secs(10));
/// # let _ = site; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Site(Arc<Config>);

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) sessions: Sessions<dyn SessionStore>,
    pub(crate) transport: Transport,
    pub(crate) when_down: WhenDown,
    pub(crate) retry_after: Duration,
    pub(crate) login_page: Option<LocalUrl>,
    pub(crate) client_notice: Option<ClientNotice>,
}

/// What becomes of a request whose session cannot be read because the store is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenDown {
    /// It is answered with 503, and may be tried again.
    #[default]
    Unavailable,
    /// Its handler sees an anonymous session, and may answer. Writing is refused, and the client's token is left
    /// alone. For pages that are the same for everybody.
    Anonymous,
}

impl Site {
    /// A site with every default. For sessions whose type of store is unknown here, say `dyn SessionStore`, there is
    /// [`From`].
    #[must_use]
    pub fn new<S: SessionStore>(sessions: &Sessions<S>) -> Self {
        Self::from(sessions.erased())
    }

    /// The session's token travels in a cookie of this policy. Default: [`CookiePolicy::production`].
    #[must_use]
    pub fn cookie(self, policy: CookiePolicy) -> Self {
        self.with(|config| config.transport = Transport::Cookie(policy))
    }

    /// The session's token travels in headers instead, for API and mobile clients.
    #[must_use]
    pub fn bearer(self, policy: BearerPolicy) -> Self {
        self.with(|config| config.transport = Transport::Bearer(policy))
    }

    /// What becomes of requests while the store is in trouble. Default: [`WhenDown::Unavailable`]. A handler can
    /// choose by [`SessionHandle::carry_on_when_down`](crate::SessionHandle::carry_on_when_down).
    #[must_use]
    pub fn when_down(self, when_down: WhenDown) -> Self {
        self.with(|config| config.when_down = when_down)
    }

    /// After which time a client may try again when the store was in trouble; whole seconds, at least one.
    /// Default: 5 seconds.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        self.with(|config| config.retry_after = time.max(Duration::from_secs(1)))
    }

    /// Where [`require_user`](crate::SessionHandle::require_user) sends a browser that has to log in. Default:
    /// nowhere, it answers 401.
    #[must_use]
    pub fn login_page(self, page: LocalUrl) -> Self {
        self.with(|config| config.login_page = Some(page))
    }

    /// Notices when a session is used by another client. Default: no notice.
    #[must_use]
    pub fn client_notice(self, notice: ClientNotice) -> Self {
        self.with(|config| config.client_notice = Some(notice))
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions<dyn SessionStore> {
        &self.0.sessions
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl From<Sessions<dyn SessionStore>> for Site {
    fn from(sessions: Sessions<dyn SessionStore>) -> Self {
        Self(Arc::new(Config {
            sessions,
            transport: Transport::Cookie(CookiePolicy::production()),
            when_down: WhenDown::default(),
            retry_after: Duration::from_secs(5),
            login_page: None,
            client_notice: None,
        }))
    }
}

impl<S: SessionStore> From<Sessions<S>> for Site {
    fn from(sessions: Sessions<S>) -> Self {
        Self::new(&sessions)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { sessions, transport, when_down, retry_after, login_page, client_notice } =
            &*self.0;
        f.debug_struct("Site")
            .field("sessions", sessions)
            .field("transport", transport)
            .field("when_down", when_down)
            .field("retry_after", retry_after)
            .field("login_page", login_page)
            .field("client_notice", client_notice)
            .finish()
    }
}

/// Which [`Site`] a request belongs to: one for all, or one for each tenant. What framework crates hold. Clones
/// are cheap.
///
/// ```
/// # use std::collections::HashMap;
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// use session_core::{Lifetimes, Realm, Sessions};
/// use session_http::{Site, Sites};
/// # use session_memory::MemoryStore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
/// let mut tenants = HashMap::new();
/// for (host, idle) in [("a.shop.example", 30), ("b.shop.example", 8 * 60)] {
///     let lifetimes = Lifetimes::new(Duration::from_secs(60 * idle), Duration::from_secs(86_400))?;
///     let sessions = sessions.with_realm(Realm::new(host)?).with_lifetimes(lifetimes, lifetimes);
///     tenants.insert(host, Site::new(&sessions));
/// }
/// let sites = Sites::resolved(move |head| tenants.get(head.host()?).cloned());
/// # let _ = sites; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sites(Resolver);

type Resolve = Arc<dyn Fn(&dyn RequestHead) -> Option<Site> + Send + Sync>;

#[derive(Clone)]
enum Resolver {
    One(Site),
    Each(Resolve),
}

impl Sites {
    /// A site for each request: by host, path, header, or whatever the head shows. `None` says that there are no
    /// sessions for it: its handlers cannot use any, and are answered 421 if they try.
    ///
    /// Called once for each request, and must not wait: keep the sites of all tenants at hand.
    pub fn resolved(
        resolve: impl Fn(&dyn RequestHead) -> Option<Site> + Send + Sync + 'static,
    ) -> Self {
        Self(Resolver::Each(Arc::new(resolve)))
    }

    pub(crate) fn of(&self, head: &dyn RequestHead) -> Option<Site> {
        match &self.0 {
            Resolver::One(site) => Some(site.clone()),
            Resolver::Each(resolve) => resolve(head),
        }
    }
}

impl<T: Into<Site>> From<T> for Sites {
    fn from(site: T) -> Self {
        Self(Resolver::One(site.into()))
    }
}

impl fmt::Debug for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Resolver::One(site) => f.debug_tuple("Sites").field(site).finish(),
            Resolver::Each(_) => f.write_str("Sites(resolved for each request)"),
        }
    }
}
