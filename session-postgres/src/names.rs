//! The names of a store's table, and all that is derived from them.

use std::fmt;

use session_core::{StoreError, StoreErrorKind};

/// The server cuts longer names off.
const MAX_NAME_LEN: usize = 63;

/// A table in a schema. It is the namespace of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    schema: String,
    table: String,
}

impl Names {
    pub(crate) const DEFAULT_SCHEMA: &str = "public";
    pub(crate) const DEFAULT_TABLE: &str = "sessions";

    const PKEY: &str = "_pkey";
    const PURGE_INDEX: &str = "_purge";
    const SUBJECT_INDEX: &str = "_subject";
    const LONGEST_ENDING: &str = Self::SUBJECT_INDEX;

    /// Letters, digits and underscores: everything else would have to be explained to whoever types the name
    /// into a shell. Capitals and reserved words are fine, since every name is quoted.
    pub(crate) fn new(schema: &str, table: &str) -> Result<Self, StoreError> {
        if !is_plain(schema, MAX_NAME_LEN) {
            return Err(config(
                "a schema has 1 to 63 characters of A-Z a-z 0-9 _, no digit first, no pg_",
            ));
        }
        if !is_plain(table, MAX_NAME_LEN - Self::LONGEST_ENDING.len()) {
            return Err(config(
                "a table has 1 to 55 characters of A-Z a-z 0-9 _, no digit first, no pg_",
            ));
        }
        Ok(Self { schema: schema.to_owned(), table: table.to_owned() })
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// A text with these names in it, quoted, in place of `{table}`, `{schema}` and the names of indexes; and as
    /// they are, for the inside of a string, in place of `{schema_name}` and `{table_name}`.
    pub(crate) fn fill(&self, template: &str) -> String {
        let quoted = |ending| format!("\"{}{ending}\"", self.table);
        template
            .replace("{table}", &format!("\"{}\".\"{}\"", self.schema, self.table))
            .replace("{schema}", &format!("\"{}\"", self.schema))
            .replace("{schema_name}", &self.schema)
            .replace("{table_name}", &self.table)
            .replace("{pkey}", &quoted(Self::PKEY))
            .replace("{purge_index}", &quoted(Self::PURGE_INDEX))
            .replace("{subject_index}", &quoted(Self::SUBJECT_INDEX))
    }
}

fn is_plain(name: &str, max_len: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=max_len).contains(&name.len())
        && name.bytes().all(plain)
        && !name.as_bytes()[0].is_ascii_digit()
        && !name.to_ascii_lowercase().starts_with("pg_")
}

/// As in messages, unquoted.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_accepted() {
        for good in ["sessions", "A", "select", "_x9", &"t".repeat(55)] {
            assert!(Names::new(good, good).is_ok(), "{good}");
        }
        assert!(Names::new(&"s".repeat(63), "t").is_ok());
        for bad in [
            "",
            "a\"b",
            "a b",
            "a.b",
            "a\0",
            "é",
            "9a",
            "pg_x",
            "PG_x",
            "a;--",
            "a{table}",
            &"t".repeat(64),
        ] {
            assert_eq!(Names::new(bad, "t").unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
            assert_eq!(Names::new("s", bad).unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
        }
        assert!(Names::new("s", &"t".repeat(56)).is_err(), "a derived name would be cut off");
    }

    #[test]
    fn every_derived_name_fits_and_is_quoted() {
        let names = Names::new("s", &"t".repeat(55)).unwrap();
        let filled = names.fill("{table} {schema} {pkey} {purge_index} {subject_index}");
        let parts: Vec<_> = filled.split([' ', '.']).collect();
        for part in &parts {
            let name = part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
            assert!(name.len() <= MAX_NAME_LEN && !name.contains('"'), "{name}");
        }
        assert!(parts.iter().any(|part| part.len() == MAX_NAME_LEN + 2), "none could be longer");
    }
}
