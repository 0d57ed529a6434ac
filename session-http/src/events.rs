//! The events that this crate emits with `tracing`, beside those of [`session_core::events`]; target `session`.
//!
//! Each has the field `event` with its name, and `session.id` with the public id where one is known. None has a
//! token, secret, payload or user name.
//!
//! | `event` | level | when |
//! |---|---|---|
//! | `session.token_twice` | warn | a request presented more than one token; it has no session |
//! | `session.forgery_refused` | warn | a request did not prove that it comes from the application's own pages |
//! | `session.client_changed` | warn | a logged-in session is used by another browser or from another network; with the fields `client.agent` and `client.network`, escaped and bounded |
//! | `session.interrupted` | warn | a request dropped a write half-way, and was answered with an error |

use session_core::SessionId;
use tracing::warn;

use crate::client::Client;

pub(crate) fn token_twice() {
    warn!(target: "session", event = "session.token_twice");
}

pub(crate) fn forgery_refused(id: Option<SessionId>) {
    warn!(target: "session", event = "session.forgery_refused", session.id = id.map(tracing::field::display));
}

pub(crate) fn client_changed(id: Option<SessionId>, client: &Client) {
    warn!(
        target: "session",
        event = "session.client_changed",
        session.id = id.map(tracing::field::display),
        client.agent = client.agent.as_deref(),
        client.network = client.network.as_deref(),
    );
}

pub(crate) fn interrupted() {
    warn!(target: "session", event = "session.interrupted");
}
