//! The HTTP rules, one file for each chapter. Names and numbers stand in the table of [`super::rule`].

pub(crate) mod commits;
pub(crate) mod cookies;
pub(crate) mod cost;
pub(crate) mod crowd;
pub(crate) mod data;
pub(crate) mod defences;
pub(crate) mod devices;
pub(crate) mod logins;
pub(crate) mod responses;
pub(crate) mod trouble;
