//! What an HTTP rule has in its hands.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::{Clock, ManualClock, SessionStore, SessionToken, Sessions, Timestamp};
use session_http::{Site, Sites};

use super::app::App;
use super::client::{Ask, Browser, Reply};
use super::fixture::{AnyHttpFixture, Served};
use crate::doubles::{HeldStore, Op, ScriptedStore, SpyStore};
use crate::fixture::AnyFixture;
use crate::rng::Rng;
use crate::space::Space;
use crate::verdict::{Checked, Stop, ensure_eq};

/// A rule's own namespace, a clock, choices, and servers to be started.
pub(crate) struct HttpCx {
    pub(crate) fixture: Arc<dyn AnyHttpFixture>,
    pub(crate) stores: Arc<dyn AnyFixture>,
    pub(crate) space: Space,
    pub(crate) clock: ManualClock,
    pub(crate) rng: Mutex<Rng>,
    pub(crate) effort: u32,
}

/// A server, with the doubles between it and its store.
pub(crate) struct Host {
    pub(crate) app: App,
    pub(crate) spy: Arc<SpyStore>,
    pub(crate) held: Arc<HeldStore>,
    pub(crate) script: Arc<ScriptedStore>,
    pub(crate) sessions: Sessions<dyn SessionStore>,
    served: Served,
}

impl HttpCx {
    /// A server with every default, on a store that was opened for it.
    pub(crate) async fn host(&self) -> Checked<Host> {
        self.host_of(|site| site).await
    }

    /// The same with another configuration.
    pub(crate) async fn host_of(&self, change: impl FnOnce(Site) -> Site) -> Checked<Host> {
        self.host_with(|sessions| change(Site::from(sessions.clone())).into()).await
    }

    /// The same with whatever is made of the sessions.
    pub(crate) async fn host_with(
        &self,
        sites: impl FnOnce(&Sessions<dyn SessionStore>) -> Sites,
    ) -> Checked<Host> {
        let store = self.stores.open(&self.space).await?;
        let script = Arc::new(ScriptedStore::new(store));
        let held = Arc::new(HeldStore::new(Arc::clone(&script) as _));
        let spy = Arc::new(SpyStore::new(Arc::clone(&held) as _));
        let sessions = Sessions::builder(Arc::clone(&spy) as Arc<dyn SessionStore>)
            .clock(self.clock.clone())
            .build()?;
        let app = App::default();
        let served = self.fixture.serve(sites(&sessions), app.clone()).await?;
        Ok(Host { app, spy, held, script, sessions, served })
    }

    /// Two servers on one backend, each with a handle of its own.
    pub(crate) async fn two_hosts(&self) -> Checked<[Host; 2]> {
        Ok([self.host().await?, self.host().await?])
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A generator of its own for choices.
    pub(crate) fn rng(&self) -> Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// As much as the effort of this run allows; at least one.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        (full * self.effort as usize / 100).max(1)
    }
}

impl Host {
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.served.addr()
    }

    /// Sends a request that no browser made.
    pub(crate) async fn ask(&self, ask: Ask) -> Checked<Reply> {
        Ok(ask.send(self.addr()).await?)
    }

    /// What a request with this token is answered.
    pub(crate) async fn with_token(&self, token: &str, target: &str) -> Checked<Reply> {
        self.ask(Ask::get(target).token(token)).await
    }

    /// A browser in which this user has just logged in.
    pub(crate) async fn log_in(&self, user: &str) -> Checked<Browser> {
        let mut browser = Browser::default();
        let reply = browser.send(self.addr(), Ask::post(format!("/login?user={user}"))).await?;
        reply.says(200, "logged in")?;
        reply.token()?;
        Ok(browser)
    }

    /// The token of a new session of this user.
    pub(crate) async fn token_of(&self, user: &str) -> Checked<String> {
        let browser = self.log_in(user).await?;
        browser.token().ok_or_else(|| Stop::failed("a login gives a token"))
    }

    /// Whom this token stands for here: a name or a dash.
    pub(crate) async fn user(&self, token: &str) -> Checked<String> {
        let reply = self.with_token(token, "/me").await?;
        ensure_eq!(reply.status, 200, "asking for the user");
        Ok(reply.body)
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Op> {
        self.spy.take_calls()
    }

    /// Whether the store holds a session under the id of this token.
    pub(crate) async fn is_stored(&self, token: &str) -> Checked<bool> {
        let token = SessionToken::parse(token.as_bytes());
        let token = token.map_err(|error| Stop::failed(error.to_string()))?;
        Ok(self.script.load(&token.id(), self.sessions.now()).await?.is_some())
    }
}
