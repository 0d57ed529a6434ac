use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;

use crate::http::client::{Ask, Browser, Connection};
use crate::http::cx::HttpCx;
use crate::rng::Rng;
use crate::verdict::{Checked, Stop, ensure, ensure_eq};

const CLIENTS: usize = 200;
/// Of each client, at full effort.
pub(crate) const ACTIONS: usize = 20;

pub(crate) async fn nobody_sees_the_session_of_another(cx: &HttpCx) -> Checked {
    let [one, other] = cx.two_hosts().await?;
    nobody_sees_another_on([one.addr(), other.addr()], cx.rng(), cx.rounds(ACTIONS)).await
}

/// The same on two servers that are there.
pub(crate) async fn nobody_sees_another_on(
    servers: [SocketAddr; 2],
    mut rng: Rng,
    actions: usize,
) -> Checked {
    let clients = (0..CLIENTS).map(|number| {
        let client = Client {
            name: format!("user-{number}"),
            servers,
            rng: rng.fork(),
            browser: Browser::default(),
            ended: Vec::new(),
        };
        tokio::spawn(client.live(actions))
    });
    for client in join_all(clients).await {
        let ended = client.map_err(|error| Stop::failed(error.to_string()))??;
        // None that was logged out comes back, whatever was given up meanwhile.
        for (token, server) in ended.iter().zip(servers.into_iter().cycle()) {
            let reply = Ask::get("/me").token(token).send(server).await?;
            ensure_eq!(reply.status, 200, "asking for the user");
            ensure_eq!(reply.body, "-", "the user of a token that was logged out");
        }
    }
    Ok(())
}

/// Somebody who does this and that, and often goes away in the middle of it.
struct Client {
    name: String,
    servers: [SocketAddr; 2],
    rng: Rng,
    browser: Browser,
    /// Tokens whose logout was confirmed.
    ended: Vec<String>,
}

impl Client {
    async fn live(mut self, actions: usize) -> Checked<Vec<String>> {
        for _ in 0..actions {
            self.act().await?;
        }
        Ok(self.ended)
    }

    async fn act(&mut self) -> Checked {
        let name = self.name.clone();
        let target = match self.rng.below(10) {
            0 | 1 => format!("/login?user={name}"),
            2 => "/logout".to_owned(),
            3 => "/rotate".to_owned(),
            4 | 5 => format!("/set?key=owner&value={name}"),
            6 => "/count".to_owned(),
            7 => "/elevate".to_owned(),
            _ => "/look?how=get".to_owned(),
        };
        let addr = self.servers[self.rng.below(2)];
        let ask = self.browser.dress(Ask::post(target.clone()));
        let mut connection = Connection::open(addr).await?;
        connection.send(&ask.bytes()).await?;
        if self.rng.one_in(4) {
            // Gone before the answer, or in the middle of it. The cookie stays as it is.
            let wait = Duration::from_micros(self.rng.next() % 3_000);
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        let before = self.browser.token();
        let reply = connection.receive().await?;
        ensure!(reply.status < 500, "{target} answers {}", reply.status);
        self.browser.keep(&reply);
        if target == "/logout" && reply.status == 200 {
            self.ended.extend(before);
        }
        self.check().await
    }

    /// What this client sees is its own, or nobody's.
    async fn check(&mut self) -> Checked {
        let addr = self.servers[self.rng.below(2)];
        for target in ["/me", "/get?key=owner"] {
            let reply = self.browser.get(addr, target).await?;
            ensure_eq!(reply.status, 200, "{target}");
            let is_own = reply.body == "-" || reply.body == self.name;
            ensure!(is_own, "{} sees {target} of {}", self.name, reply.body);
        }
        Ok(())
    }
}
