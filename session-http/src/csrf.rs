//! Whether a request comes from the application's own pages.

use data_encoding::BASE64URL_NOPAD;
use session_core::{DerivedKey, OsRandom, RandomSource, Session, SessionError};
use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::events;
use crate::handle::SessionHandle;
use crate::head::RequestHead;

/// What the key of the tokens is derived for.
const PURPOSE: &str = "session-http request forgery";

impl SessionHandle {
    /// A token for the forms of this session's pages, in a hidden field, or for its scripts, in a header. Empty
    /// while nothing is stored: there is no secret then that it could be bound to.
    ///
    /// It proves a request to come from a page of this session: it is made with a key that is derived from the
    /// session's secret, so that it changes with every login and rotation and ends with the session. Each call gives
    /// another text (a mask, so that compression of pages gives nothing away), and all are valid.
    pub async fn csrf_token(&self) -> Result<String, Error> {
        let slot = self.shared().slot().await?;
        let (session, _) = slot.seen(self.shared().carries_on())?;
        let Some(key) = session.derive_key(PURPOSE) else { return Ok(String::new()) };
        Ok(masked(&key).map_err(SessionError::from)?)
    }

    /// Checks that a request which changes something comes from the application's own pages; `token` is what the
    /// form or the header brought. Call it before anything else.
    ///
    /// | session | what a request needs |
    /// |---|---|
    /// | of a user | a valid token |
    /// | anonymous | a valid token, or the browser's word that it comes from this origin |
    ///
    /// The browser's word is the header `Sec-Fetch-Site: same-origin`, and where that is missing the header `Origin`
    /// with the request's own host. It protects login forms of visitors for whom nothing is stored. A client that
    /// sends neither is no browser, or a very old one, and needs a token.
    ///
    /// # Errors
    ///
    /// [`Error::Forged`], with an event.
    pub async fn check_csrf(&self, token: &str) -> Result<(), Error> {
        let slot = self.shared().slot().await?;
        let (session, _) = slot.seen(self.shared().carries_on())?;
        let is_own = session.subject().is_none() && self.shared().origin == Origin::Own;
        if is_own || is_valid(session, token) {
            return Ok(());
        }
        events::forgery_refused(session.id());
        Err(Error::Forged)
    }
}

/// What the browser says about where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    ForeignOrUnknown,
}

impl Origin {
    pub(crate) fn of(head: &dyn RequestHead) -> Self {
        // Requests that change nothing are not asked.
        let is_own = !matches!(head.method(), "GET" | "HEAD" | "OPTIONS")
            && match only(head, "sec-fetch-site") {
                Some(site) => site == b"same-origin",
                None => is_own_host(head),
            };
        if is_own { Self::Own } else { Self::ForeignOrUnknown }
    }
}

fn is_own_host(head: &dyn RequestHead) -> bool {
    let origin = only(head, "origin").and_then(|origin| std::str::from_utf8(origin).ok());
    let host = origin.and_then(|origin| {
        origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))
    });
    host.is_some_and(|host| head.host().is_some_and(|own| own.eq_ignore_ascii_case(host)))
}

/// The value of a header that must not be there twice.
fn only<'a>(head: &'a dyn RequestHead, name: &str) -> Option<&'a [u8]> {
    let mut values = head.header(name);
    let value = values.next();
    if values.next().is_some() { Some(b"") } else { value }
}

const LEN: usize = DerivedKey::LEN;

/// A random mask, and the token under it.
fn masked(token: &DerivedKey) -> Result<String, session_core::RandomUnavailable> {
    let mut bytes = [0; 2 * LEN];
    OsRandom.fill(&mut bytes[..LEN])?;
    for position in 0..LEN {
        bytes[LEN + position] = bytes[position] ^ token.as_bytes()[position];
    }
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

fn is_valid(session: &Session, text: &str) -> bool {
    let Some(key) = session.derive_key(PURPOSE) else { return false };
    let mut bytes = [0; 2 * LEN];
    if text.len() != BASE64URL_NOPAD.encode_len(bytes.len())
        || BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes).is_err()
    {
        return false;
    }
    let (mask, rest) = bytes.split_at_mut(LEN);
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= *mask;
    }
    rest.ct_eq(key.as_bytes()).into()
}
