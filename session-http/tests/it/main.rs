//! What a session is over HTTP, without a server.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod bad_input;
mod client;
mod csrf;
mod events;
mod exchange;
mod guard;
mod plain;
mod policy;
mod setup;
mod tenants;
mod users;
