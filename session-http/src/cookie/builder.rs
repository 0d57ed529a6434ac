use super::policy::{CookiePolicy, SameSite};
use session_core::SessionToken;

/// The configuration of a [`CookiePolicy`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
#[allow(clippy::struct_excessive_bools, reason = "one flag for each attribute without a value")]
pub struct CookiePolicyBuilder {
    name: String,
    domain: Option<String>,
    path: String,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
    persistent: bool,
}

impl CookiePolicyBuilder {
    pub(super) fn new() -> Self {
        Self {
            name: "__Host-session".to_owned(),
            domain: None,
            path: "/".to_owned(),
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            persistent: false,
        }
    }

    /// The name. Default: `__Host-session`. Prefixes are promises that browsers enforce, and this builder too:
    ///
    /// | prefix | needs |
    /// |---|---|
    /// | `__Secure-` | `Secure` |
    /// | `__Host-` | `Secure`, no `Domain`, `Path=/` |
    /// | `__Http-` | `Secure`, `HttpOnly` |
    /// | `__Host-Http-` | all of these |
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Shares the cookie with every host of this domain, say all tenants below `shop.example`. Default: the
    /// host alone that set it, which is safer; the prefix `__Host-` demands it.
    ///
    /// Lower-case ASCII letters, digits and hyphens in two labels or more. Browsers also refuse public suffixes,
    /// such as `co.uk`, of which this crate has no list.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The paths that get the cookie, by their beginning. Default: `/`. Paths are no protection: a script
    /// on another path of the same host can use the cookie.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Which requests from other sites carry the cookie. Default: [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps the cookie in a jar of its own for each site that embeds or calls this one (CHIPS).
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Keeps the cookie when the browser is closed, until the absolute deadline of the session. Default: until
    /// the browser is closed, or later, where it restores its windows.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Sends the cookie over plain http too. **Anyone between browser and server reads it.** For development.
    pub fn insecure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Lets scripts read the cookie. **A script of an attacker then takes the session with it.**
    pub fn readable_by_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`InvalidCookiePolicy`] for what browsers would drop, weaken, or read as something else.
    pub fn build(self) -> Result<CookiePolicy, InvalidCookiePolicy> {
        self.check_name()?;
        self.check_prefix()?;
        check_path(&self.path)?;
        if let Some(domain) = &self.domain {
            check_domain(domain)?;
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(InvalidCookiePolicy::SameSiteNoneNeedsSecure);
        }
        if self.partitioned && !self.secure {
            return Err(InvalidCookiePolicy::PartitionedNeedsSecure);
        }
        let attributes = self.attributes();
        Ok(CookiePolicy { name: self.name, attributes, persistent: self.persistent })
    }

    fn attributes(&self) -> String {
        let mut text = format!("; Path={}", self.path);
        if let Some(domain) = &self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        if self.secure {
            text.push_str("; Secure");
        }
        if self.http_only {
            text.push_str("; HttpOnly");
        }
        text.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            text.push_str("; Partitioned");
        }
        text
    }

    fn check_name(&self) -> Result<(), InvalidCookiePolicy> {
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return Err(InvalidCookiePolicy::Name);
        }
        if self.name.len() + SessionToken::TEXT_LEN > MAX_NAME_AND_VALUE {
            return Err(InvalidCookiePolicy::NameTooLong);
        }
        Ok(())
    }

    fn check_prefix(&self) -> Result<(), InvalidCookiePolicy> {
        let Some(prefix) = PREFIXES.iter().find(|prefix| self.name.starts_with(prefix.text)) else {
            let misspelt = resembles_a_prefix(&self.name);
            return if misspelt { Err(InvalidCookiePolicy::MisspeltPrefix) } else { Ok(()) };
        };
        if self.name.len() == prefix.text.len() {
            return Err(InvalidCookiePolicy::Name);
        }
        if !self.secure {
            return Err(InvalidCookiePolicy::PrefixNeedsSecure);
        }
        if prefix.needs_http_only && !self.http_only {
            return Err(InvalidCookiePolicy::HttpPrefixNeedsHttpOnly);
        }
        if prefix.needs_host && self.domain.is_some() {
            return Err(InvalidCookiePolicy::HostPrefixForbidsDomain);
        }
        if prefix.needs_host && self.path != "/" {
            return Err(InvalidCookiePolicy::HostPrefixNeedsRootPath);
        }
        Ok(())
    }
}

/// Browsers drop a cookie whose name and value are longer together (RFC 6265bis, section 5.6).
const MAX_NAME_AND_VALUE: usize = 4_096;

/// Browsers ignore an attribute whose value is longer.
const MAX_ATTRIBUTE: usize = 1_024;

struct Prefix {
    text: &'static str,
    needs_http_only: bool,
    needs_host: bool,
}

/// The longer of two that match comes first.
const PREFIXES: &[Prefix] = &[
    Prefix { text: "__Host-Http-", needs_http_only: true, needs_host: true },
    Prefix { text: "__Host-", needs_http_only: false, needs_host: true },
    Prefix { text: "__Http-", needs_http_only: true, needs_host: false },
    Prefix { text: "__Secure-", needs_http_only: false, needs_host: false },
];

/// A prefix in other letters, or with other signs around it, promises nothing, or in some browsers and not in
/// others.
fn resembles_a_prefix(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["host", "http", "secure"].iter().any(|word| {
        let Some((before, after)) = name.split_once(word) else { return false };
        let only_signs_before = before.bytes().all(|byte| matches!(byte, b'_' | b'-'));
        only_signs_before && (!before.is_empty() || after.starts_with("__"))
    })
}

/// A byte of a `token` (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn check_path(path: &str) -> Result<(), InvalidCookiePolicy> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if path.starts_with('/') && path.len() <= MAX_ATTRIBUTE && path.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(InvalidCookiePolicy::Path)
    }
}

fn check_domain(domain: &str) -> Result<(), InvalidCookiePolicy> {
    const MAX_LEN: usize = 253;
    const MAX_LABEL: usize = 63;

    let is_label = |label: &str| {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let mut labels = domain.rsplit('.');
    let is_top_level = |label: &str| !label.bytes().all(|byte| byte.is_ascii_digit());
    let valid = domain.len() <= MAX_LEN
        && domain.split('.').all(is_label)
        && labels.next().is_some_and(is_top_level)
        && labels.next().is_some();
    if valid { Ok(()) } else { Err(InvalidCookiePolicy::Domain) }
}

/// A cookie that browsers would drop, weaken, or read as something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCookiePolicy {
    /// The name is empty, nothing but a prefix, or has a byte that is none of a token.
    #[error("a cookie name has letters, digits and !#$%&'*+-.^_`|~, after its prefix too")]
    Name,
    /// Name and value would be longer than 4,096 bytes.
    #[error("the cookie name is too long")]
    NameTooLong,
    /// The name begins almost like a prefix, and promises nothing.
    #[error(
        "the prefixes of cookie names are __Host-, __Secure-, __Http- and __Host-Http-, in these letters"
    )]
    MisspeltPrefix,
    /// A prefix without `Secure`.
    #[error("a cookie name with a prefix needs Secure")]
    PrefixNeedsSecure,
    /// `__Http-` without `HttpOnly`.
    #[error("the prefix __Http- needs HttpOnly")]
    HttpPrefixNeedsHttpOnly,
    /// `__Host-` with `Domain`.
    #[error("the prefix __Host- forbids Domain")]
    HostPrefixForbidsDomain,
    /// `__Host-` with a path other than `/`.
    #[error("the prefix __Host- needs Path=/")]
    HostPrefixNeedsRootPath,
    /// `SameSite=None` without `Secure`.
    #[error("SameSite=None needs Secure")]
    SameSiteNoneNeedsSecure,
    /// `Partitioned` without `Secure`.
    #[error("Partitioned needs Secure")]
    PartitionedNeedsSecure,
    /// The path does not begin with a slash, is longer than 1,024 bytes, or has a byte that ends or changes it.
    #[error(
        "a cookie path begins with / and has visible ASCII without semicolon, at most 1,024 bytes"
    )]
    Path,
    /// Not a domain that a cookie can be shared in.
    #[error("a cookie domain has two labels or more of lower-case letters, digits and hyphens")]
    Domain,
}
