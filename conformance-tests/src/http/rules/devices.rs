use crate::http::client::{Ask, Browser, Reply};
use crate::http::cx::{Host, HttpCx};
use crate::verdict::{Checked, ensure, ensure_eq};

/// The ids of a list of devices, the current one marked.
async fn listed(host: &Host, browser: &mut Browser) -> Checked<Vec<(String, bool, u64)>> {
    let reply = browser.get(host.addr(), "/devices").await?;
    ensure_eq!(reply.status, 200, "the list");
    let line = |line: &str| {
        let mut words = line.split(' ');
        let id = words.next().unwrap_or_default().to_owned();
        let is_current = words.next() == Some("current");
        (id, is_current, words.next().and_then(|millis| millis.parse().ok()).unwrap_or_default())
    };
    Ok(reply.body.lines().map(line).collect())
}

async fn user(host: &Host, browser: &Browser) -> Checked<Reply> {
    browser.clone().get(host.addr(), "/me").await
}

pub(crate) async fn devices_are_listed(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut laptop = host.log_in("alice").await?;
    cx.advance(60);
    let mut phone = other.log_in("alice").await?;
    host.log_in("bob").await?;
    host.ask(Ask::get("/set?key=a&value=b")).await?;
    for (server, browser) in [(&host, &mut phone), (&other, &mut laptop)] {
        let devices = listed(server, browser).await?;
        ensure_eq!(devices.len(), 2, "the sessions of the user");
        ensure_eq!(devices.iter().filter(|device| device.1).count(), 1, "the current ones");
        ensure!(devices[0].1, "the current one comes first");
    }
    // Whoever was away for long shows it, to within a sixth of the idle time.
    cx.advance(12 * 3600);
    user(&host, &laptop).await?.says(200, "alice")?;
    let devices = listed(&host, &mut laptop).await?;
    let now = cx.now().as_millis();
    let ago: Vec<_> =
        devices.iter().map(|device| now.saturating_sub(device.2) / 3_600_000).collect();
    ensure!(ago[0] <= 4 && (8..=12).contains(&ago[1]), "hours since the last use: {ago:?}");
    let reply = host.ask(Ask::get("/devices")).await?;
    ensure_eq!(reply.status, 401, "the list of nobody");
    Ok(())
}

pub(crate) async fn one_device_is_logged_out(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut laptop = host.log_in("alice").await?;
    let phone = other.log_in("alice").await?;
    let mut bob = host.log_in("bob").await?;
    let devices = listed(&host, &mut laptop).await?;
    let (own, phones) = (&devices[0].0, &devices[1].0);
    bob.get(host.addr(), &format!("/log-out?id={phones}")).await?.says(200, "false")?;
    user(&host, &phone).await?.says(200, "alice")?;
    let reply = laptop.get(host.addr(), &format!("/log-out?id={phones}")).await?;
    reply.says(200, "true")?;
    ensure_eq!(reply.session_cookie()?, None, "ending another session changes no cookie");
    for server in [&host, &other] {
        user(server, &phone).await?.says(200, "-")?;
        user(server, &laptop).await?.says(200, "alice")?;
    }
    laptop.get(host.addr(), &format!("/log-out?id={phones}")).await?.says(200, "false")?;
    let before = laptop.clone();
    let reply = laptop.get(host.addr(), &format!("/log-out?id={own}")).await?;
    reply.says(200, "true")?;
    ensure!(reply.removes_the_cookie()?, "ending the own session is a logout");
    user(&other, &before).await?.says(200, "-")
}

pub(crate) async fn others_are_logged_out(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut here = host.log_in("alice").await?;
    let there = [other.log_in("alice").await?, other.log_in("alice").await?];
    let bob = host.log_in("bob").await?;
    here.get(host.addr(), "/set?key=a&value=b").await?;
    let before = here.clone();
    let reply = here.get(host.addr(), "/log-out-others").await?;
    reply.says(200, "2")?;
    reply.token()?;
    for server in [&host, &other] {
        for ended in there.iter().chain([&before]) {
            user(server, ended).await?.says(200, "-")?;
        }
        user(server, &here).await?.says(200, "alice")?;
        user(server, &bob).await?.says(200, "bob")?;
    }
    here.get(other.addr(), "/get?key=a").await?.says(200, "b")
}

pub(crate) async fn everywhere_is_here_too(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut here = host.log_in("alice").await?;
    let there = other.log_in("alice").await?;
    let bob = host.log_in("bob").await?;
    let before = here.clone();
    let reply = here.get(host.addr(), "/log-out-everywhere").await?;
    reply.says(200, "2")?;
    ensure!(reply.removes_the_cookie()?, "ending everything removes the cookie");
    for server in [&host, &other] {
        for ended in [&before, &there] {
            user(server, ended).await?.says(200, "-")?;
        }
        user(server, &bob).await?.says(200, "bob")?;
    }
    Ok(())
}
