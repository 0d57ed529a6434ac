//! The network between a store and its backend, and what can happen to it.
//!
//! `proxy` stands between the two and listens, `link` carries the bytes of one connection, `fault` says what
//! shall happen to which round trip, and `call` is a call of a store whose answer can be checked.
//!
//! A round trip is a burst of bytes from the client and the bytes that the server answers with, whatever
//! protocol they speak. The next burst of the client begins the next one.

mod call;
mod fault;
mod link;
mod proxy;
#[cfg(test)]
mod tests;

pub(crate) use call::{Answer, Call, Claim, Verb};
pub(crate) use fault::{Fault, Span};
pub(crate) use proxy::Proxy;
