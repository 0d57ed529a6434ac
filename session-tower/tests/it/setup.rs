use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use conformance_tests::doubles::{ScriptedStore, SlowStore};
use http::{Request, Response};
use session_core::{Count, SessionStore, Sessions};
use session_memory::MemoryStore;
use session_tower::{SessionLayer, Site};
use tower::ServiceExt;

pub(crate) struct Setup {
    pub(crate) script: Arc<ScriptedStore>,
    pub(crate) sessions: Sessions<dyn SessionStore>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// With a store that takes its time, by tokio's clock.
    pub(crate) fn slow(delay: Duration) -> Self {
        let script = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
        let store: Arc<dyn SessionStore> = if delay.is_zero() {
            Arc::clone(&script) as _
        } else {
            Arc::new(SlowStore::new(Arc::clone(&script) as _, delay))
        };
        Self { script, sessions: Sessions::builder(store).build().unwrap() }
    }

    pub(crate) fn layer(&self) -> SessionLayer {
        SessionLayer::new(Site::from(self.sessions.clone()))
    }

    pub(crate) async fn stored(&self) -> u64 {
        match self.sessions.count().await.unwrap() {
            Count::Exact(count) => count,
            Count::Estimate(_) => panic!("memory counts exactly"),
        }
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(crate) fn with_cookie(path: &str, cookie: &str) -> Request<Body> {
    Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap()
}

pub(crate) async fn call(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

/// Name and value, as the next request sends them.
pub(crate) fn cookie_of<B>(response: &Response<B>) -> Option<String> {
    let value = response.headers().get("set-cookie")?;
    Some(value.to_str().unwrap().split(';').next().unwrap().to_owned())
}
