//! The network between a store and its backend, and what can happen to it.
//!
//! The rules about faults put a [`Proxy`] between a store and its server, and so can the tests of an adapter:
//!
//! ```
//! use conformance_tests::net::{Fault, Proxy, Span};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let proxy = Proxy::new();
//! let address = proxy.route("127.0.0.1:6379").await?; // for the store to connect to
//!
//! proxy.strike(Fault::LoseReply, 2, Span::Once).await?; // the second round trip from now
//! // … calls of the store …
//! proxy.heal().await?;
//! # assert_eq!((proxy.struck(), proxy.trips()), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! A round trip is a burst of bytes from the client and the bytes that the server answers with, whatever
//! protocol they speak. The next burst of the client begins the next one.

// `proxy` stands between the two and listens, `link` carries the bytes of one connection, `fault` says what
// shall happen to which round trip, and `call` is a call of a store whose answer can be checked.

mod call;
mod fault;
mod link;
mod proxy;
#[cfg(test)]
mod tests;

pub(crate) use call::{Answer, Call, Claim, Verb};
pub use fault::{Fault, Span};
pub use proxy::Proxy;
