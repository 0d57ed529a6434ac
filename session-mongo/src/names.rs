//! Names of databases and collections from configuration.

use session_core::{StoreError, StoreErrorKind};

pub(crate) const DEFAULT_COLLECTION: &str = "sessions";

/// The longest name of a collection that is accepted; with any database it stays below the server's limit.
const MAX_COLLECTION_LEN: usize = 128;
/// The server's limit.
const MAX_DATABASE_LEN: usize = 63;

/// A collection: letters, digits and `_ . -`, beginning with a letter, and none of the server's own.
pub(crate) fn check_collection(name: &str) -> Result<(), StoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good = name.len() <= MAX_COLLECTION_LEN
        && name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.starts_with("system.");
    if good {
        return Ok(());
    }
    Err(config(
        "the name of a collection has 1 to 128 letters, digits, `_`, `.` and `-`, begins with a letter, and is \
         not one of the server's own",
    ))
}

/// A database: letters, digits, `_` and `-`, and none of the server's own.
pub(crate) fn check_database(name: &str) -> Result<(), StoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let own = ["admin", "local", "config"].iter().any(|own| name.eq_ignore_ascii_case(own));
    if (1..=MAX_DATABASE_LEN).contains(&name.len()) && name.bytes().all(plain) && !own {
        return Ok(());
    }
    Err(config(
        "the name of a database has 1 to 63 letters, digits, `_` and `-`, and is none of the server's own",
    ))
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        let long = "a".repeat(129);
        for bad in [
            "",
            "a$b",
            "$cmd",
            "a b",
            "a\0",
            "é",
            "a/b",
            ".a",
            "a.",
            "a..b",
            "system.users",
            "1a",
            "_a",
            "a\"b",
            "{a}",
            "*",
            &long,
        ] {
            assert_eq!(check_collection(bad).unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
        }
        for good in ["sessions", "a", "App.sessions-2_x", &long[..128]] {
            assert!(check_collection(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in
            ["", "a.b", "a b", "a/b", "a\\b", "a$b", "a\0", "é", "admin", "Local", "config", &long]
        {
            assert_eq!(check_database(bad).unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
        }
        for good in ["app", "app-1_2", "1", &long[..63]] {
            assert!(check_database(good).is_ok(), "{good}");
        }
    }
}
