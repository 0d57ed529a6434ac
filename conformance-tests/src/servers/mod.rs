//! Real servers for tests.
//!
//! A backend is looked for in this order:
//!
//! 1. A URL from the environment (`SESSION_TEST_REDIS_URL`). That server is used as it is: never
//!    started, stopped, paused or flushed.
//! 2. With the feature `containers`, a container, if a Docker daemon of this machine answers: of the image in
//!    the environment (`SESSION_TEST_REDIS_IMAGE`), else of the maker's own, else of one that
//!    `cargo xtask servers images` has built.
//! 3. The server's own program: the path in the environment (`SESSION_TEST_REDIS_SERVER`), else
//!    `PATH`, else where its packages put it. It runs on a free port of the loopback interface with a
//!    temporary folder as its home.
//! 4. Otherwise a [`ServerError`] that says what was tried and what to do. Nothing is skipped.
//!
//! What is asked for by name is used or refused, and never replaced: a URL, an image, a program, or by
//! `SESSION_TEST_BACKEND` either `native` or `container`. A URL wins over the others. Servers that a test
//! starts for itself are native, or containers, as the test says by their type.
//!
//! Everything here blocks the calling thread, and may be called from any thread. Servers are started on Unix
//! only; elsewhere give a URL.
//!
//! # Nothing is left running
//!
//! Rust drops no statics, and a killed process drops nothing at all. So each server and each temporary
//! folder has a small shell beside it that holds the reading end of a pipe. The writing end is ours.
//! When our process is gone, for whatever reason (`SIGKILL` included), the system closes the pipe, and
//! the shells end the server and remove the folder. Dropping a handle does the same, and waits for it.
//!
//! A container has such a shell too, which removes it with the program `docker`. It is published on the
//! loopback interface only, and carries the labels `session-tests.for` and `session-tests.process`.
//!
//! # One type for all kinds
//!
//! [`Server`] and [`SharedServer`] are the same for every kind of server; use them by the names of a kind,
//! such as [`RedisServer`] and [`RedisEndpoint`].

#[cfg(all(unix, feature = "containers"))]
mod container;
mod disk;
#[cfg(all(unix, feature = "containers"))]
pub(crate) mod docker;
mod dynamo;
mod error;
mod folder;
mod guard;
mod image;
mod locate;
mod location;
mod mongo;
mod op_msg;
mod port;
mod postgres;
mod process;
mod product;
mod redis;
mod resp;
#[cfg(all(unix, feature = "containers"))]
pub(crate) mod running;
mod server;
mod shared;
mod site;
mod tls;
mod user;

#[cfg(test)]
#[cfg(unix)]
mod tests;

#[cfg(all(unix, feature = "containers"))]
pub use container::Container;
#[cfg(all(unix, feature = "containers"))]
pub use dynamo::DynamoContainer;
pub use dynamo::{DynamoEndpoint, DynamoOptions, DynamoServer};
pub use error::{ServerError, ServerErrorKind};
#[cfg(all(unix, feature = "containers"))]
pub use mongo::MongoContainer;
pub use mongo::{MongoEndpoint, MongoOptions, MongoServer, MongoSet};
pub use postgres::{PostgresEndpoint, PostgresOptions, PostgresServer};
#[cfg(all(unix, feature = "containers"))]
pub use redis::RedisContainer;
pub use redis::{Readiness, RedisEndpoint, RedisOptions, RedisServer};
pub use server::Server;
pub use shared::SharedServer;
pub use tls::TlsFiles;
#[cfg(all(unix, feature = "containers"))]
pub(crate) use {
    image::Contents, locate::environment as real_environment, port::free as free_port,
};
