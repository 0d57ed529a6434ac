#![cfg_attr(feature = "axum", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "axum"),
    doc = "Sessions for tower, hyper and tonic. The tour needs the feature `axum`."
)]

#[cfg(feature = "axum")]
pub mod axum;
mod future;
mod head;
mod layer;
mod service;

pub use future::SessionFuture;
pub use layer::SessionLayer;
pub use service::SessionService;

#[doc(no_inline)]
pub use session_http::{
    BearerPolicy, ClientNotice, CookiePolicy, Device, Error, LocalUrl, RequestHead, SameSite,
    SessionHandle, SessionInfo, Site, Sites, WhenDown,
};
