//! The rule about many clients, on servers that run elsewhere.

use std::net::SocketAddr;

use super::rules::crowd::{ACTIONS, nobody_sees_another_on};
use crate::Result;
use crate::rng::{Rng, mix};
use crate::run::Settings;
use crate::verdict::Stop;

/// What rule H64 says, on two servers that somebody else has started: processes of their own, say, or two machines. Both
/// serve the suite's [`App`](super::App) with the same sessions.
///
/// Two hundred clients log in, look, change and log out, each on either server as it comes, and every fourth time
/// they are gone before the answer. `CONFORMANCE_EFFORT` and `CONFORMANCE_SEED` count as for the rules.
///
/// # Errors
///
/// What a client saw that it must not see, or what else went wrong.
pub async fn crowd(servers: [SocketAddr; 2]) -> Result<()> {
    let settings = Settings::from_env();
    let actions = (ACTIONS * settings.effort as usize / 100).max(1);
    let rng = Rng::new(mix(settings.seed, "H64"));
    nobody_sees_another_on(servers, rng, actions).await.map_err(|stop| match stop {
        Stop::Failed(failure) => failure.to_string().into(),
        Stop::NotApplicable(reason) => reason.into(),
    })
}
