use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Extensions;
use session_http::Sites;
use tower_layer::Layer;

use crate::service::SessionService;

pub(crate) type Peer = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

/// Gives each request a session: a [`SessionHandle`](session_http::SessionHandle) among its extensions.
///
/// One layer serves a request. Where two lie on top of each other, the outer one does, and the inner one lets it pass.
#[derive(Clone)]
pub struct SessionLayer {
    sites: Sites,
    peer: Option<Peer>,
}

impl SessionLayer {
    /// A layer for these sessions: `Sessions` with every default, a [`Site`](session_http::Site), or
    /// [`Sites`] for several tenants.
    #[must_use]
    pub fn new(sites: impl Into<Sites>) -> Self {
        Self { sites: sites.into(), peer: None }
    }

    /// Where the server puts the address of the connection, for
    /// [`ClientNotice::peer_address`](session_http::ClientNotice::peer_address). With axum's
    /// `into_make_service_with_connect_info::<SocketAddr>()`:
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # use axum::extract::ConnectInfo;
    /// # fn layer(layer: session_tower::SessionLayer) -> session_tower::SessionLayer {
    /// layer.peer(|it| it.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip()))
    /// # }
    /// ```
    #[must_use]
    pub fn peer(
        mut self,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Some(Arc::new(peer));
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.sites.clone(), self.peer.clone())
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("sites", &self.sites).finish_non_exhaustive()
    }
}
