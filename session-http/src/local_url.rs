//! Where a response may send a browser.

use std::fmt;
use std::str::FromStr;

use crate::head::RequestHead;

/// A path of this site, query included: the only thing that a value from a request may redirect to.
///
/// Begins with one slash, and has visible ASCII without backslash, at most 2,048 bytes. So it is none of the
/// spellings that browsers read as another host (`//evil.example`, `/\evil.example`), no scheme, and nothing that
/// they remove before they look (tabs, line breaks, spaces).
///
/// ```
/// use session_http::LocalUrl;
///
/// assert_eq!("/cart?page=2".parse::<LocalUrl>()?.as_str(), "/cart?page=2");
/// assert!("//evil.example".parse::<LocalUrl>().is_err());
/// assert!("https://evil.example".parse::<LocalUrl>().is_err());
/// // After a login: back to where the visitor wanted to go, or to the front page.
/// assert_eq!(LocalUrl::or_root(Some("/\\evil.example")).as_str(), "/");
/// # Ok::<(), session_http::ForeignUrl>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUrl(String);

impl LocalUrl {
    const MAX_LEN: usize = 2_048;

    /// The URL, or `/` where there is none or a foreign one.
    #[must_use]
    pub fn or_root(url: Option<&str>) -> Self {
        url.and_then(|url| url.parse().ok()).unwrap_or_default()
    }

    /// The URL as text, ready for the header `Location`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This login page, with the target of the request as its parameter `redirect_to`, if that can be asked for again.
    pub(crate) fn before(&self, head: &dyn RequestHead) -> Self {
        if !matches!(head.method(), "GET" | "HEAD") {
            return self.clone();
        }
        let query = head.query().map_or_else(String::new, |query| format!("?{query}"));
        self.with_parameter("redirect_to", &format!("{}{query}", head.path()))
    }

    /// The same URL with `name=value` in its query, the value percent-encoded, and without a fragment.
    fn with_parameter(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.split('#').next().unwrap_or_default().to_owned();
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
                url.push(char::from(byte));
            } else {
                url.extend(['%', hex(byte >> 4), hex(byte & 15)]);
            }
        }
        Self(url)
    }
}

fn hex(half: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(half)])
}

/// The front page, `/`.
impl Default for LocalUrl {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl FromStr for LocalUrl {
    type Err = ForeignUrl;

    fn from_str(text: &str) -> Result<Self, ForeignUrl> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let is_local = text.starts_with('/')
            && !text.starts_with("//")
            && text.len() <= Self::MAX_LEN
            && text.bytes().all(is_allowed);
        if is_local { Ok(Self(text.to_owned())) } else { Err(ForeignUrl) }
    }
}

impl fmt::Display for LocalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a path of this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path of this site")]
pub struct ForeignUrl;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_browser_might_read_as_another_site_is_refused() {
        for foreign in [
            "",
            "evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "HTTPS:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            " /ok",
            "/ok ",
            "/a b",
            "/\r\nSet-Cookie: a=b",
            "/\0",
            "/\u{7f}",
            "/é",
            "/\u{2028}",
            "?next=/",
            "#x",
            &format!("/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(foreign.parse::<LocalUrl>(), Err(ForeignUrl), "{foreign:?}");
        }
        for local in ["/", "/a", "/a//b", "/a?x=//evil.example", "/%2F/evil", "/a#b", "/a:b@c"] {
            assert_eq!(local.parse::<LocalUrl>().unwrap().as_str(), local);
        }
    }

    #[test]
    fn parameters_are_encoded() {
        let login: LocalUrl = "/login".parse().unwrap();
        let url = login.with_parameter("redirect_to", "/a?b=c&d=é#e");
        assert_eq!(url.as_str(), "/login?redirect_to=/a%3Fb%3Dc%26d%3D%C3%A9%23e");
        let url = url.with_parameter("x", "+ ");
        assert_eq!(url.as_str(), "/login?redirect_to=/a%3Fb%3Dc%26d%3D%C3%A9%23e&x=%2B%20");
    }
}
