//! The session stores beside the raw drivers. Run `cargo run --release -p bench -- --help`.
//!
//! | file | what it does |
//! |---|---|
//! | `backend.rs` | what a backend and a contestant are, and the list of backends |
//! | `memory.rs`, `redis.rs`, … | one backend each: its contestants, its goals, its sizes |
//! | `http.rs` | requests from end to end, on Redis |
//! | `home.rs` | the server of a run: one of its own, or a given one |
//! | `ours.rs` | any `SessionStore` as a contestant |
//! | `plain.rs` | anything that reads and writes by key as a contestant: raw drivers, peers |
//! | `race.rs`, `scale.rs` | the measuring: operations beside each other; load in a small and a large store |
//! | `heap.rs` | bytes on the heap, in a process of its own |
//! | `token.rs` | making and checking tokens |
//! | `report.rs`, `table.rs` | the result, for machines and for people |

mod backend;
mod dynamo;
mod heap;
mod home;
mod http;
mod memory;
mod mongo;
mod options;
mod ours;
mod payload;
mod plain;
mod postgres;
mod race;
mod redis;
mod report;
mod rng;
mod run;
mod scale;
mod sessions;
mod stats;
mod table;
mod token;

pub use heap::print_sizes;
pub use run::run;
