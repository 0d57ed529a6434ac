//! Real servers for tests.
//!
//! A backend is looked for in this order:
//!
//! 1. A URL from the environment (`SESSION_TEST_REDIS_URL`). That server is used as it is: never
//!    started, stopped, paused or flushed.
//! 2. The server's own program: the path in the environment (`SESSION_TEST_REDIS_SERVER`), else
//!    `PATH`, else where its packages put it. It runs on a free port of the loopback interface with a
//!    temporary folder as its home.
//! 3. Otherwise a [`ServerError`] that says what was tried and what to do. Nothing is skipped.
//!
//! Everything here uses the standard library only, blocks the calling thread, and may be called from
//! any thread. Servers are started on Unix only; elsewhere give a URL.
//!
//! # Nothing is left running
//!
//! Rust drops no statics, and a killed process drops nothing at all. So each server and each temporary
//! folder has a small shell beside it that holds the reading end of a pipe. The writing end is ours.
//! When our process is gone, for whatever reason (`SIGKILL` included), the system closes the pipe, and
//! the shells end the server and remove the folder. Dropping a handle does the same, and waits for it.
//!
//! # One type for all kinds
//!
//! [`Server`] and [`SharedServer`] are the same for every kind of server; use them by the names of a kind,
//! such as [`RedisServer`] and [`RedisEndpoint`].

mod disk;
mod error;
mod folder;
mod locate;
mod location;
mod port;
mod process;
mod product;
mod redis;
mod resp;
mod server;
mod shared;
mod site;
mod tls;
mod user;

#[cfg(test)]
#[cfg(unix)]
mod tests;

pub use error::{ServerError, ServerErrorKind};
pub use redis::{Readiness, RedisEndpoint, RedisOptions, RedisServer};
pub use server::Server;
pub use shared::SharedServer;
pub use tls::TlsFiles;
