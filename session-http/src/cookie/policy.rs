use std::fmt;
use std::time::Duration;

use session_core::{Lifetimes, SessionToken, TokenChange};

use super::builder::CookiePolicyBuilder;
use crate::header::ResponseHeader;

/// How the session cookie is named and sent: checked once, when it is built.
///
/// What browsers would drop, weaken or read differently does not build, see
/// [`InvalidCookiePolicy`](crate::InvalidCookiePolicy).
///
/// | policy | cookie |
/// |---|---|
/// | [`production`](Self::production), the default | `__Host-session`, `Path=/; Secure; HttpOnly; SameSite=Lax` |
/// | [`server_rendered`](Self::server_rendered) | the same, kept when the browser is closed |
/// | [`cross_site`](Self::cross_site) | `__Host-session`, `Path=/; Secure; HttpOnly; SameSite=None; Partitioned` |
/// | [`insecure_development`](Self::insecure_development) | `session`, `Path=/; HttpOnly; SameSite=Lax` |
///
/// ```
/// use session_http::{CookiePolicy, InvalidCookiePolicy, SameSite};
///
/// let policy = CookiePolicy::builder()
///     .name("__Secure-shop")
///     .domain("shop.example")
///     .same_site(SameSite::Strict)
///     .build()?;
/// assert_eq!(policy.name(), "__Secure-shop");
///
/// let refused = CookiePolicy::builder().domain("shop.example").build();
/// assert_eq!(refused.err(), Some(InvalidCookiePolicy::HostPrefixForbidsDomain));
/// # Ok::<(), InvalidCookiePolicy>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CookiePolicy {
    pub(super) name: String,
    /// What follows the value, from the first `; ` on.
    pub(super) attributes: String,
    pub(super) persistent: bool,
}

/// Which requests from other sites carry the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// None, not even when a user follows a link.
    Strict,
    /// Those in which a user goes to this site: links, but neither forms nor scripts of other sites.
    #[default]
    Lax,
    /// All. For a front end on another site; needs `Secure`, and a defence against request forgery.
    None,
}

impl CookiePolicy {
    /// Starts with the attributes of [`production`](Self::production).
    pub fn builder() -> CookiePolicyBuilder {
        CookiePolicyBuilder::new()
    }

    /// `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax`, until the browser is closed. The default.
    ///
    /// Needs TLS between the browser and whatever ends it: over plain http browsers drop this cookie.
    #[must_use]
    pub fn production() -> Self {
        Self::checked(Self::builder())
    }

    /// As [`production`](Self::production), but kept when the browser is closed, as long as the session may live:
    /// for sites whose visitors expect to be known tomorrow.
    #[must_use]
    pub fn server_rendered() -> Self {
        Self::checked(Self::builder().persistent())
    }

    /// For a single-page application on another site: `SameSite=None`, in a jar of its own for each site that
    /// embeds or calls this one (`Partitioned`). The application must defend itself against request forgery, and
    /// answer its own site alone by CORS.
    #[must_use]
    pub fn cross_site() -> Self {
        Self::checked(Self::builder().same_site(SameSite::None).partitioned())
    }

    /// For development over plain http: `session`, without `Secure`. **Anyone between browser and server reads
    /// this cookie.**
    #[must_use]
    pub fn insecure_development() -> Self {
        Self::checked(Self::builder().name("session").insecure())
    }

    /// The name of the cookie.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `Set-Cookie` header that gives the client this token, for a session that ends in `left` at the latest.
    #[must_use]
    pub fn set(&self, token: &SessionToken, left: Duration) -> ResponseHeader {
        let token = token.encode();
        let kept = if self.persistent {
            format!("; Max-Age={}", left.min(Lifetimes::MAX_ABSOLUTE).as_secs())
        } else {
            String::new()
        };
        let parts =
            [self.name.as_str(), "=", token.as_str(), kept.as_str(), self.attributes.as_str()];
        ResponseHeader::new("set-cookie", &parts)
    }

    /// The `Set-Cookie` header that removes the cookie. It repeats every attribute: a browser that does not find
    /// them equal keeps the old cookie.
    #[must_use]
    pub fn remove(&self) -> ResponseHeader {
        ResponseHeader::new("set-cookie", &[&self.name, "=; Max-Age=0", &self.attributes])
    }

    /// The header that tells the client about its token, if there is something to tell.
    pub(crate) fn tell(&self, change: TokenChange<'_>, left: Duration) -> Option<ResponseHeader> {
        match change {
            TokenChange::Set(token) => Some(self.set(token, left)),
            TokenChange::Remove => Some(self.remove()),
            _ => None,
        }
    }

    fn checked(builder: CookiePolicyBuilder) -> Self {
        builder.build().expect("the policies of this file are valid, and tested")
    }
}

impl Default for CookiePolicy {
    fn default() -> Self {
        Self::production()
    }
}

impl fmt::Debug for CookiePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.persistent { "; Max-Age=.." } else { "" };
        write!(f, "CookiePolicy({}{kept}{})", self.name, self.attributes)
    }
}
