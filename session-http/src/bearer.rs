//! The session's token in a header, for clients that have no cookies.

use session_core::TokenChange;

use crate::cookie::{Presented, is_token_byte};
use crate::header::ResponseHeader;

/// Tokens in headers instead of cookies, for API and mobile clients.
///
/// The client sends `Authorization: Bearer <token>` (RFC 6750). Whenever its token changes, it gets the new one in
/// the response header `session-token`, and `none` when the session was destroyed. A client that has to log in
/// gets 401. Browsers do not send this header by themselves, so requests cannot be forged by another site; but a
/// script of an attacker that can read the token takes the session with it. For browsers prefer the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerPolicy {
    response_header: String,
}

impl BearerPolicy {
    /// What a client gets instead of a token when its session was destroyed.
    pub const REMOVED: &str = "none";

    /// New tokens in the response header `session-token`.
    #[must_use]
    pub fn new() -> Self {
        Self { response_header: "session-token".to_owned() }
    }

    /// New tokens in another response header.
    ///
    /// # Errors
    ///
    /// [`InvalidHeaderName`] for what is no name of a header in lower case, or means something else already.
    pub fn response_header(name: &str) -> Result<Self, InvalidHeaderName> {
        let is_allowed = |byte: u8| is_token_byte(byte) && !byte.is_ascii_uppercase();
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(is_allowed);
        if !valid || TAKEN.contains(&name) {
            return Err(InvalidHeaderName);
        }
        Ok(Self { response_header: name.to_owned() })
    }

    /// The header that tells the client about its token, if there is something to tell.
    pub(crate) fn tell(&self, change: TokenChange<'_>) -> Option<ResponseHeader> {
        let header = |value: &str| ResponseHeader::new(self.response_header.clone(), &[value]);
        match change {
            TokenChange::Set(token) => Some(header(token.encode().as_str())),
            TokenChange::Remove => Some(header(Self::REMOVED)),
            _ => None,
        }
    }
}

impl Default for BearerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Headers of responses that a token would break.
const TAKEN: &[&str] = &[
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "location",
    "retry-after",
    "set-cookie",
    "transfer-encoding",
    "vary",
    "www-authenticate",
];

/// Not the name of a header for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a header for tokens has 1 to 64 lower-case letters, digits and signs, and no other meaning"
)]
pub struct InvalidHeaderName;

/// Finds the bearer token in the values of all `Authorization` headers of one request, as they came.
///
/// The scheme's case does not matter, one space follows it, and nothing is removed around the token. Other
/// schemes are passed over.
pub(crate) fn read_bearer<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Presented<'a> {
    const SCHEME: &[u8] = b"bearer ";

    let mut presented = Presented::Nothing;
    for header in headers {
        let Some((scheme, token)) = header.split_at_checked(SCHEME.len()) else { continue };
        if scheme.eq_ignore_ascii_case(SCHEME) {
            presented = match presented {
                Presented::Nothing => Presented::One(token),
                Presented::One(_) | Presented::Several => return Presented::Several,
            };
        }
    }
    presented
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read_and_several_are_none() {
        let read = |headers: &[&'static str]| read_bearer(headers.iter().map(|it| it.as_bytes()));
        assert_eq!(read(&["Bearer abc"]), Presented::One(b"abc"));
        assert_eq!(read(&["bEARER abc "]), Presented::One(b"abc "));
        assert_eq!(read(&["Basic abc", "Bearer abc"]), Presented::One(b"abc"));
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Presented::Several);
        assert_eq!(read(&["Bearer"]), Presented::Nothing);
        assert_eq!(read(&["Bearerabc", " Bearer abc", "Basic Bearer abc"]), Presented::Nothing);
    }

    #[test]
    fn response_headers_with_another_meaning_are_refused() {
        for name in ["", "é", "Set-Cookie", "set-cookie", "a b", "a:", "x\r\ny", &"x".repeat(65)] {
            assert_eq!(BearerPolicy::response_header(name), Err(InvalidHeaderName), "{name}");
        }
        assert!(BearerPolicy::response_header("x-shop-session").is_ok());
    }
}
