//! The session cookie: read byte for byte, written by a policy that was checked when it was built.

mod builder;
mod policy;
mod read;

pub(crate) use builder::is_token_byte;
pub use builder::{CookiePolicyBuilder, InvalidCookiePolicy};
pub use policy::{CookiePolicy, SameSite};
pub use read::{Presented, read_cookie};
