use futures_util::future::{join, try_join_all};

use crate::doubles::HeldStore;
use crate::http::client::{Ask, Browser, Connection};
use crate::http::cx::HttpCx;
use crate::verdict::{Checked, ensure_eq};

pub(crate) async fn two_requests_keep_both_changes(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut browser = host.log_in("alice").await?;
    browser.get(host.addr(), "/set?key=gone&value=1").await?;
    let mut slow = Connection::open(host.addr()).await?;
    slow.send(&browser.dress(Ask::get("/held?key=a&value=slow")).bytes()).await?;
    host.app.has_arrived().await;
    browser.get(other.addr(), "/set?key=b&value=fast").await?.says(200, "set")?;
    browser.get(other.addr(), "/remove?key=gone").await?.says(200, "true")?;
    host.app.let_go();
    slow.receive().await?.says(200, "held")?;
    for (key, value) in [("a", "slow"), ("b", "fast"), ("gone", "-")] {
        browser.get(other.addr(), &format!("/get?key={key}")).await?.says(200, value)?;
    }
    Ok(())
}

pub(crate) async fn increments_are_all_counted(cx: &HttpCx) -> Checked {
    /// As many requests at once as a commit merges with, so that none has to give up.
    const AT_ONCE: usize = 6;

    let [host, other] = cx.two_hosts().await?;
    let browser = host.log_in("alice").await?;
    let rounds = cx.rounds(5);
    for _ in 0..rounds {
        let hosts = [&host, &other];
        for it in hosts {
            it.held.hold();
        }
        // Each has loaded before the first one writes.
        let overlap = async {
            for let_all_go in [HeldStore::let_go, HeldStore::release] {
                for it in hosts {
                    it.held.are_called(AT_ONCE / 2).await;
                }
                for it in hosts {
                    let_all_go(&it.held);
                }
            }
        };
        let requests = (0..AT_ONCE).map(|number| {
            let server = hosts[number % 2];
            let mut browser = browser.clone();
            async move { browser.get(server.addr(), "/count").await?.says(200, "counted") }
        });
        join(try_join_all(requests), overlap).await.0?;
    }
    let expected = (rounds * AT_ONCE).to_string();
    browser.clone().get(other.addr(), "/counted").await?.says(200, &expected)
}

pub(crate) async fn flash_crosses_a_redirect_once(cx: &HttpCx) -> Checked {
    let [host, other] = cx.two_hosts().await?;
    let mut browser = Browser::default();
    let reply = browser.get(host.addr(), "/flash?text=Saved").await?;
    ensure_eq!((reply.status, reply.values("location")), (303, vec!["/take"]), "the redirect");
    // An error shows it again.
    browser.get(other.addr(), "/take?status=500").await?.says(500, "Saved")?;
    browser.get(host.addr(), "/take?keep=1").await?.says(200, "Saved")?;
    browser.get(other.addr(), "/take").await?.says(200, "Saved")?;
    browser.get(host.addr(), "/take").await?.says(200, "")
}
