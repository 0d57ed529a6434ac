#![doc = include_str!("../README.md")]

mod alarms;
mod body;
mod builder;
mod cursor;
mod engine;
mod hash;
mod index;
mod primitives;
#[cfg(feature = "tokio")]
mod purge_task;
mod records;
mod shards;
mod store;
mod u48;
mod usage;

#[cfg(test)]
mod tests;

pub use builder::MemoryStoreBuilder;
pub use store::MemoryStore;
