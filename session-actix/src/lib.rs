#![doc = include_str!("../README.md")]

mod error;
mod extract;
mod head;
mod middleware;
mod service;

pub use error::{Error, MissingMiddleware, Result};
pub use extract::{Session, User};
pub use middleware::SessionMiddleware;
pub use service::SessionService;

#[doc(no_inline)]
pub use session_http::{
    BearerPolicy, ClientNotice, CookiePolicy, Device, LocalUrl, RequestHead, SameSite,
    SessionHandle, SessionInfo, Site, Sites, WhenDown,
};
