//! A browser, and one request after another, without a server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use conformance_tests::doubles::{Op, ScriptedStore, SpyStore};
use session_core::{ManualClock, SessionStore, Sessions};
use session_http::{Conclusion, Exchange, RequestHead, ResponseHead, SessionHandle, Site, Sites};
use session_memory::MemoryStore;

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) peer: Option<IpAddr>,
}

impl Head {
    pub(crate) fn get() -> Self {
        Self {
            method: "GET",
            path: "/".into(),
            host: Some("shop.example".into()),
            headers: Vec::new(),
            peer: None,
        }
    }

    pub(crate) fn post() -> Self {
        Self { method: "POST", ..Self::get() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }
}

impl RequestHead for Head {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.path.split('?').next().unwrap()
    }

    fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }

    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn header<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let name = name.to_owned();
        let of_name = move |(of, _): &&(&'static str, Vec<u8>)| *of == name;
        Box::new(self.headers.iter().filter(of_name).map(|(_, value)| value.as_slice()))
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
}

/// A response, as it would leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Response {
    pub(crate) fn of(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }

    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let of_name = |(of, _): &&(String, String)| of == name;
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one `Set-Cookie`, or none.
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        let values = self.values("set-cookie");
        assert!(values.len() <= 1, "at most one Set-Cookie");
        values.first().copied()
    }

    /// The token that it sets.
    pub(crate) fn token(&self) -> Option<String> {
        let (_, rest) = self.set_cookie()?.split_once('=')?;
        let token = rest.split(';').next()?;
        (!token.is_empty()).then(|| token.to_owned())
    }

    pub(crate) fn removes_the_cookie(&self) -> bool {
        self.set_cookie().is_some_and(|it| it.contains("=; Max-Age=0;"))
    }

    pub(crate) fn is_private(&self) -> bool {
        self.values("vary").contains(&"Cookie")
            && self.values("cache-control") == ["private, no-store"]
    }
}

impl ResponseHead for Response {
    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(of, _)| of == name)
    }

    fn append(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn append_token(&mut self, name: &str, value: &str) {
        assert!(!matches!(name, "vary" | "cache-control" | "retry-after"));
        self.append(name, value);
    }

    fn replace(&mut self, status: u16) {
        *self = Self::of(status);
    }
}

/// A site on a store in memory, with a spy and a script in between.
pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) spy: Arc<SpyStore>,
    pub(crate) script: Arc<ScriptedStore>,
    pub(crate) sessions: Sessions<dyn SessionStore>,
    pub(crate) sites: Sites,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::of(|site| site)
    }

    pub(crate) fn of(change: impl FnOnce(Site) -> Site) -> Self {
        let clock = ManualClock::starting_now();
        let script = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
        let spy = Arc::new(SpyStore::new(Arc::clone(&script) as Arc<dyn SessionStore>));
        let sessions = Sessions::builder(Arc::clone(&spy) as Arc<dyn SessionStore>)
            .clock(clock.clone())
            .build()
            .unwrap();
        let sites = change(Site::from(sessions.clone())).into();
        Self { clock, spy, script, sessions, sites }
    }

    pub(crate) fn begin(&self, head: &Head) -> Exchange {
        Exchange::begin(&self.sites, head)
    }

    /// One request: the handler answers with a status.
    pub(crate) async fn request(
        &self,
        head: &Head,
        handler: impl AsyncFnOnce(SessionHandle) -> u16,
    ) -> Response {
        let exchange = self.begin(head);
        let status = handler(exchange.handle()).await;
        conclude(&exchange.finish(status).await, status)
    }

    /// One request of a client that presents this token.
    pub(crate) async fn with_token(
        &self,
        token: &str,
        handler: impl AsyncFnOnce(SessionHandle) -> u16,
    ) -> Response {
        self.request(&presenting(token), handler).await
    }

    /// Logs in, and answers with the token.
    pub(crate) async fn log_in(&self, name: &str) -> String {
        let response = self
            .request(&Head::post(), async |session| {
                session.login(name).await.unwrap();
                200
            })
            .await;
        response.token().unwrap()
    }

    pub(crate) async fn user(&self, token: &str) -> Option<String> {
        let mut user = None;
        self.with_token(token, async |session| {
            user = session.user().await.unwrap();
            200
        })
        .await;
        user
    }

    pub(crate) fn calls(&self) -> Vec<Op> {
        self.spy.take_calls()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn presenting(token: &str) -> Head {
    Head::get().with("cookie", format!("__Host-session={token}"))
}

pub(crate) fn conclude(conclusion: &Conclusion, status: u16) -> Response {
    let mut response = Response::of(status);
    conclusion.apply(&mut response);
    response
}
