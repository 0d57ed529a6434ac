//! Who uses a session, as far as a request shows: for a notice, never for a decision.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::head::RequestHead;

type Address = Arc<dyn Fn(&dyn RequestHead) -> Option<IpAddr> + Send + Sync>;

/// Notices when a logged-in session is used by another browser, or from another network.
///
/// It is an event, and a flag in [`SessionInfo`](crate::SessionInfo), never the end of a session: networks of phones
/// change all day, and both can be imitated. What is compared is stored in the session's data under
/// [`ClientNotice::KEY`] at login: the user agent, escaped and cut to 200 characters, and the address cut to the
/// network (IPv4 /24, IPv6 /48). A change is noticed once, and costs that request a write.
///
/// ```
/// use session_http::ClientNotice;
///
/// // Behind a proxy that sets this header, and removes what clients send under its name.
/// let notice = ClientNotice::user_agent().address(|head| {
///     std::str::from_utf8(head.header("x-real-ip").next()?).ok()?.parse().ok()
/// });
/// # let _ = notice;
/// ```
#[derive(Clone)]
pub struct ClientNotice {
    address: Option<Address>,
}

impl ClientNotice {
    /// Where the session's data holds what is compared.
    pub const KEY: &str = "session.client";

    /// Compares the user agent.
    #[must_use]
    pub fn user_agent() -> Self {
        Self { address: None }
    }

    /// Compares the network of the connection too. Behind a proxy that is the proxy's: use
    /// [`address`](Self::address) there.
    #[must_use]
    pub fn peer_address(self) -> Self {
        self.address(|head| head.peer())
    }

    /// Compares the network of this address too.
    #[must_use]
    pub fn address(
        mut self,
        address: impl Fn(&dyn RequestHead) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.address = Some(Arc::new(address));
        self
    }

    pub(crate) fn of(&self, head: &dyn RequestHead) -> Client {
        let address = self.address.as_ref().and_then(|address| address(head));
        Client {
            agent: head.header("user-agent").next().map(bounded),
            network: address.map(network),
        }
    }
}

impl fmt::Debug for ClientNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientNotice").field("address", &self.address.is_some()).finish()
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) agent: Option<String>,
    pub(crate) network: Option<String>,
}

/// Visible ASCII, at most 200 characters, whatever came.
fn bounded(agent: &[u8]) -> String {
    const MOST: usize = 200;

    let agent = agent.get(..MOST).unwrap_or(agent);
    agent.escape_ascii().take(MOST).map(char::from).collect()
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_bounded_and_escaped() {
        assert_eq!(bounded(b"Mozilla/5.0 (X11)"), "Mozilla/5.0 (X11)");
        assert_eq!(bounded(b"a\r\nb\x1b[31m\xc3\xa9"), r"a\r\nb\x1b[31m\xc3\xa9");
        let long = bounded(&vec![0xff; 1 << 20]);
        assert_eq!(long.len(), 200);
        assert!(long.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn addresses_are_cut_to_their_network() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("203.0.113.77"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.77"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
