use std::time::{Duration, Instant};

use session_core::StoreErrorKind;

use crate::doubles::{Fault, Op};
use crate::http::client::{Ask, Browser, Connection};
use crate::http::cx::{Host, HttpCx};
use crate::verdict::{Checked, ensure, ensure_eq};

const DOWN: Fault = Fault::Before(StoreErrorKind::Unavailable);

/// As long as a busy machine may take for a commit that is under way.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn commit_comes_before_the_response(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut browser = host.log_in("alice").await?;
    host.calls();
    host.held.hold();
    let mut connection = Connection::open(host.addr()).await?;
    let ask = browser.dress(Ask::get("/set?key=a&value=b"));
    connection.send(&ask.bytes()).await?;
    // The load waits, and then the update.
    for op in [Op::Load, Op::Update] {
        host.held.is_called().await;
        ensure_eq!(host.calls(), [op], "the call under way");
        ensure!(
            !connection.has_an_answer().await,
            "the response came before the {op:?} was answered"
        );
        host.held.let_go();
    }
    host.held.release();
    connection.receive().await?.says(200, "set")?;
    browser.get(other.addr(), "/get?key=a").await?.says(200, "b")?;
    // Whoever follows a redirect at once finds what the page before has written.
    for round in 0..cx.rounds(20) {
        let reply = browser.get(host.addr(), &format!("/flash?text={round}")).await?;
        ensure_eq!((reply.status, reply.values("location")), (303, vec!["/take"]), "the redirect");
        browser.get(other.addr(), "/take").await?.says(200, &round.to_string())?;
    }
    Ok(())
}

pub(crate) async fn failed_commit_is_an_error_without_cookie(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    for (op, target) in [
        (Op::Create, "/set?key=a&value=b"),
        (Op::Update, "/set?key=a&value=b"),
        (Op::Update, "/headers?key=a&value=c"),
        (Op::Update, "/answer?status=404&key=a&value=d"),
    ] {
        let ask = match op {
            Op::Create => Ask::get(target),
            _ => Ask::get(target).token(&host.token_of("alice").await?),
        };
        host.script.then(op, DOWN);
        let reply = host.ask(ask).await?;
        ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "a commit that failed");
        ensure_eq!(reply.values("retry-after"), ["5"], "when to try again");
        ensure_eq!(reply.body, "", "the handler's body is not sent");
        ensure_eq!(reply.values("set-cookie"), Vec::<&str>::new(), "nor are its cookies");
        ensure!(reply.is_private(), "an error is private too");
        ensure!(host.script.is_through(), "the commit was tried");
    }
    // A commit in the middle of a handler fails like one at its end.
    let token = host.token_of("alice").await?;
    host.script.then(Op::Update, DOWN);
    let reply = host.with_token(&token, "/everything").await?;
    ensure_eq!((reply.status, reply.session_cookie()?), (503, None), "a commit in the middle");
    Ok(())
}

/// What is stored under `a`, as another request sees it.
async fn stored(host: &Host, browser: &Browser) -> Checked<String> {
    let reply = browser.clone().get(host.addr(), "/get?key=a").await?;
    ensure_eq!(reply.status, 200, "reading");
    Ok(reply.body)
}

pub(crate) async fn error_of_the_handler_commits_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = host.log_in("alice").await?;
    for status in [500, 501, 502, 503, 504] {
        let target = format!("/answer?status={status}&key=a&value=b");
        let reply = browser.get(host.addr(), &target).await?;
        ensure_eq!((reply.status, reply.session_cookie()?), (status, None), "the handler's answer");
        ensure_eq!(stored(&host, &browser).await?, "-", "what is stored after {status}");
    }
    let reply = host.ask(Ask::get("/answer?status=500&key=a&value=b")).await?;
    ensure_eq!(reply.session_cookie()?, None, "a visitor's session after an error");
    Ok(())
}

pub(crate) async fn refusal_commits(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = host.log_in("alice").await?;
    for status in [200, 201, 302, 303, 400, 401, 403, 404, 409, 422, 429] {
        let target = format!("/answer?status={status}&key=a&value={status}");
        let reply = browser.get(host.addr(), &target).await?;
        ensure_eq!(reply.status, status, "the handler's answer");
        ensure_eq!(
            stored(&host, &browser).await?,
            status.to_string(),
            "what is stored after {status}"
        );
    }
    let reply = host.ask(Ask::get("/answer?status=422&key=a&value=b")).await?;
    reply.token()?;
    Ok(())
}

pub(crate) async fn what_was_written_at_once_stands(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let before = host.token_of("alice").await?;
    let reply = host.with_token(&before, "/login?user=alice&status=500").await?;
    ensure_eq!(reply.status, 500, "the handler's answer");
    let token = reply.token()?;
    ensure_eq!(host.user(&token).await?, "alice", "the user after the error");
    ensure_eq!(host.user(&before).await?, "-", "the user of the token before");
    let reply = host.with_token(&token, "/logout?status=500").await?;
    ensure!(reply.removes_the_cookie()?, "a logout before an error removes the cookie");
    ensure_eq!(host.user(&token).await?, "-", "the user after the logout");
    Ok(())
}

pub(crate) async fn panic_commits_nothing(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let browser = host.log_in("alice").await?;
    host.calls();
    let mut connection = Connection::open(host.addr()).await?;
    connection.send(&browser.dress(Ask::get("/panic?key=a&value=b")).bytes()).await?;
    // Some servers hang up, some answer; none says that all went well.
    if let Ok(reply) = connection.receive().await {
        ensure!(reply.status >= 500, "a panic is answered with {}", reply.status);
        ensure_eq!(reply.session_cookie()?, None, "cookie after a panic");
    }
    ensure_eq!(host.calls(), [Op::Load], "calls of a request that panicked");
    ensure_eq!(stored(&host, &browser).await?, "-", "what is stored after a panic");
    Ok(())
}

pub(crate) async fn commit_ends_without_its_client(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let browser = host.log_in("alice").await?;
    for round in 0..cx.rounds(10) {
        host.calls();
        let ask = browser.dress(Ask::get(format!("/held?key=a&value={round}")));
        let mut connection = Connection::open(host.addr()).await?;
        connection.send(&ask.bytes()).await?;
        host.app.has_arrived().await;
        host.held.hold();
        host.app.let_go();
        host.held.is_called().await;
        ensure_eq!(host.calls(), [Op::Load, Op::Update], "the commit is under way");
        // The client goes away, and the server has time to notice.
        drop(connection);
        tokio::time::sleep(Duration::from_millis(50)).await;
        host.held.release();
        let expected = round.to_string();
        let begun = Instant::now();
        while stored(&host, &browser).await? != expected {
            let is_late = begun.elapsed() > PATIENCE;
            ensure!(!is_late, "a commit under way was given up with its client");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    Ok(())
}

pub(crate) async fn response_that_has_begun_is_not_written(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = Browser::default();
    let reply = browser.get(host.addr(), "/stream").await?;
    reply.says(200, "begun before false false")?;
    let token = reply.token()?;
    host.with_token(&token, "/get?key=a").await?.says(200, "before")?;
    ensure_eq!(host.user(&token).await?, "-", "the user after a login that came too late");
    Ok(())
}

pub(crate) async fn interrupted_write_is_an_error(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    host.held.hold();
    let mut connection = Connection::open(host.addr()).await?;
    connection.send(&Ask::post("/interrupted").bytes()).await?;
    let reply = connection.receive().await;
    host.held.release();
    let reply = reply?;
    ensure_eq!(
        (reply.status, reply.session_cookie()?),
        (503, None),
        "a request that dropped a login"
    );
    Ok(())
}

pub(crate) async fn tasks_of_a_request_share_its_session(cx: &HttpCx) -> Checked {
    let host = cx.host().await?;
    let mut browser = Browser::default();
    browser.get(host.addr(), "/tasks").await?.says(200, "done")?;
    ensure_eq!(host.calls(), [Op::Create], "calls of twenty tasks");
    browser.get(host.addr(), "/counted").await?.says(200, "20")
}
