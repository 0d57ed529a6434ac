//! How the token travels: in a cookie or in a header.

use std::time::Duration;

use session_core::{SessionToken, TokenChange};
use zeroize::Zeroizing;

use crate::bearer::{BearerPolicy, read_bearer};
use crate::cookie::{CookiePolicy, Presented, read_cookie};
use crate::head::RequestHead;
use crate::header::ResponseHeader;

#[derive(Debug, Clone)]
pub(crate) enum Transport {
    Cookie(CookiePolicy),
    Bearer(BearerPolicy),
}

/// What the client presented, kept until the session is opened.
pub(crate) enum Kept {
    Nothing,
    Token(Zeroizing<[u8; SessionToken::TEXT_LEN]>),
    /// Something that is too long or too short for a token.
    Malformed,
    Several,
}

impl Transport {
    pub(crate) fn read(&self, head: &dyn RequestHead) -> Kept {
        let presented = match self {
            Self::Cookie(policy) => read_cookie(head.header("cookie"), policy.name()),
            Self::Bearer(_) => read_bearer(head.header("authorization")),
        };
        match presented {
            Presented::Nothing => Kept::Nothing,
            Presented::Several => Kept::Several,
            Presented::One(value) => {
                value.try_into().map_or(Kept::Malformed, |text| Kept::Token(Zeroizing::new(text)))
            }
        }
    }

    /// The header that tells the client, for a session that ends in `left` at the latest.
    pub(crate) fn tell(&self, change: TokenChange<'_>, left: Duration) -> Option<ResponseHeader> {
        match self {
            Self::Cookie(policy) => policy.tell(change, left),
            Self::Bearer(policy) => policy.tell(change),
        }
    }

    /// The request header that the response depends on.
    pub(crate) const fn vary(&self) -> &'static str {
        match self {
            Self::Cookie(_) => "Cookie",
            Self::Bearer(_) => "Authorization",
        }
    }
}
