//! The suite itself is tested here: on a store that keeps the contract, and on many that do not.

mod defects;
mod harness;
mod mutants;
mod reference;
mod store;
