//! Sessions for people without middleware: three functions.

use session_core::{Session, SessionError, SessionStore, Sessions, Timestamp};

use crate::cookie::{CookiePolicy, Presented, read_cookie};
use crate::events;
use crate::header::ResponseHeader;

/// Opens the session of a request; `headers` are the values of its `Cookie` headers, as they came.
///
/// One call to the store, and none without a cookie.
///
/// # Errors
///
/// [`SessionError::Store`] when the store is in trouble: answer 503, and send no cookie.
pub async fn get_session<'a, S: SessionStore + ?Sized, I>(
    sessions: &Sessions<S, I>,
    policy: &CookiePolicy,
    headers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Session, SessionError> {
    let token = match read_cookie(headers, policy.name()) {
        Presented::Nothing => None,
        Presented::One(value) => Some(value),
        Presented::Several => {
            events::token_twice();
            None
        }
    };
    sessions.open(token).await
}

/// Commits what a request changed, and answers with the headers that its response gets: `Set-Cookie` if the token
/// changed, `Vary`, and `Cache-Control`, which you may replace. Call it before the response leaves.
///
/// # Errors
///
/// Whatever [`Sessions::commit`] answers: make the response an error, and send no cookie.
pub async fn commit_session<S: SessionStore + ?Sized, I>(
    sessions: &Sessions<S, I>,
    policy: &CookiePolicy,
    session: &mut Session,
) -> Result<Vec<ResponseHeader>, SessionError> {
    let _ = sessions.commit(session).await?;
    Ok(headers(sessions, policy, session))
}

/// Ends the session of a request, and answers with the headers that its response gets, among them the one that
/// removes the cookie.
///
/// # Errors
///
/// Whatever [`Sessions::destroy`] answers. The session may then still be live: do not say that the logout succeeded.
pub async fn destroy_session<S: SessionStore + ?Sized, I>(
    sessions: &Sessions<S, I>,
    policy: &CookiePolicy,
    session: &mut Session,
) -> Result<Vec<ResponseHeader>, SessionError> {
    sessions.destroy(session).await?;
    Ok(headers(sessions, policy, session))
}

fn headers<S: SessionStore + ?Sized, I>(
    sessions: &Sessions<S, I>,
    policy: &CookiePolicy,
    session: &Session,
) -> Vec<ResponseHeader> {
    let left = session.deadline().unwrap_or(Timestamp::MIN).since(sessions.now());
    let mut headers = vec![
        ResponseHeader::new("vary", &["Cookie"]),
        ResponseHeader::new("cache-control", &["private, no-store"]),
    ];
    headers.extend(policy.tell(session.token_change(), left));
    headers
}
