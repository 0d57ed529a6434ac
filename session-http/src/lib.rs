#![doc = include_str!("../README.md")]

mod bearer;
mod client;
mod cookie;
mod csrf;
mod error;
pub mod events;
mod exchange;
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod head;
mod header;
mod local_url;
mod plain;
mod site;
mod transport;

pub use bearer::{BearerPolicy, InvalidHeaderName};
pub use client::ClientNotice;
pub use cookie::{
    CookiePolicy, CookiePolicyBuilder, InvalidCookiePolicy, Presented, SameSite, read_cookie,
};
pub use error::Error;
pub use exchange::{Conclusion, Exchange};
pub use handle::{Device, SessionHandle, SessionInfo};
pub use head::{RequestHead, ResponseHead};
pub use header::ResponseHeader;
pub use local_url::{ForeignUrl, LocalUrl};
pub use plain::{commit_session, destroy_session, get_session};
/// The numbered rules of sessions over HTTP, as text. Rendered at [`contract`].
pub const CONTRACT: &str = include_str!("../CONTRACT.md");

#[doc = include_str!("../CONTRACT.md")]
pub mod contract {}

pub use site::{Site, Sites, WhenDown};
