#![doc = include_str!("../README.md")]

#[cfg(all(unix, feature = "containers"))]
mod container;
mod cx;
pub mod doubles;
mod endpoint;
mod fixture;
mod fresh;
mod history;
#[cfg(feature = "http")]
pub mod http;
mod in_flight;
pub mod load;
pub mod net;
mod people;
mod profile;
mod race;
pub mod report;
mod rng;
mod rule;
mod rules;
mod run;
pub mod sample;
mod search;
mod secrets;
pub mod servers;
mod space;
mod spy;
mod suite;
mod transcript;
mod verdict;
mod watch;

#[cfg(all(unix, feature = "containers"))]
pub use container::ContainerEndpoint;
pub use endpoint::Endpoint;
pub use fixture::{Fixture, KnownFailure};
pub use profile::Profile;
pub use rule::{Rule, rules};
pub use session_core::BoxError;
pub use space::Space;
#[doc(hidden)]
pub use suite::Shared;
pub use suite::Suite;
pub use verdict::{RuleResult, Verdict};

use verdict::chain;

/// What the functions of a [`Fixture`] return: `?` works on every error, and on texts by `.into()`.
pub type Result<T, E = BoxError> = std::result::Result<T, E>;

/// The suite tests the contract of its own version, no other.
const _: () = assert!(
    session_core::CONTRACT_VERSION.0 == 0 && session_core::CONTRACT_VERSION.1 == 1,
    "use the conformance-tests of the same minor version as session-core"
);
