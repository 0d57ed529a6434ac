//! The table as the server's catalogue describes it, and what of it is not as it should be.

use std::fmt;

/// The columns that a store reads and writes, as the catalogue writes their types.
const COLUMNS: &[&str] = &[
    "created_at timestamp with time zone NOT NULL",
    "expires_at timestamp with time zone NOT NULL",
    "deadline timestamp with time zone NOT NULL",
    "purge_after timestamp with time zone NOT NULL",
    "revision bigint NOT NULL",
    "authenticated_at timestamp with time zone",
    "grace_until timestamp with time zone",
    "format smallint NOT NULL",
    "authentication_level smallint",
    "id bytea NOT NULL",
    "secret_hash bytea NOT NULL",
    "previous_hash bytea",
    "credential_tag bytea",
    "subject bytea",
    "payload bytea NOT NULL",
];

/// What the definitions of the indexes end in.
const INDEXES: &[(&str, &str)] = &[
    ("its primary key", " USING btree (id)"),
    ("the index on purge_after", " USING btree (purge_after)"),
    (
        "the index on the subject",
        " USING btree (hashtextextended(encode(subject, 'hex'::text), (0)::bigint)) \
         WHERE (subject IS NOT NULL)",
    ),
];

/// Columns that touches and updates write. An index on one of them makes each of these write to all indexes.
const WRITTEN: &[&str] = &["expires_at", "revision", "payload", "secret_hash", "previous_hash"];

/// A table, as far as the catalogue tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// `r` for an ordinary table.
    pub(crate) kind: String,
    /// `p` for one that outlives a crash.
    pub(crate) persistence: String,
    pub(crate) row_security: bool,
    /// Those of the privileges of a store that are missing.
    pub(crate) denied: Vec<&'static str>,
    /// One to a line: name, type, and whether it must be given.
    pub(crate) columns: String,
    /// One definition to a line, of those that can be used.
    pub(crate) indexes: String,
}

impl Table {
    /// What a store cannot work with.
    pub(crate) fn defects(&self) -> Vec<String> {
        let mut defects = Vec::new();
        if !matches!(self.kind.as_str(), "r" | "p") {
            defects.push("it is no table".to_owned());
        }
        for column in COLUMNS {
            // A default is no trouble.
            let as_it_should_be =
                |line: &str| line.strip_suffix(" DEFAULT").unwrap_or(line) == *column;
            if !self.columns.lines().any(as_it_should_be) {
                defects.push(format!("there is no column `{column}`"));
            }
        }
        for line in self.columns.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            let known = COLUMNS.iter().any(|column| column.split(' ').next() == Some(name));
            if !known && line.ends_with(" NOT NULL") {
                defects.push(format!("nobody fills the column `{line}`"));
            }
        }
        for (what, ending) in INDEXES {
            if !self.indexes.lines().any(|line| line.ends_with(ending)) {
                defects.push(format!("it lacks {what}"));
            }
        }
        defects
    }

    /// Indexes that make every touch or update write to all indexes.
    pub(crate) fn costly_indexes(&self) -> Vec<&str> {
        let costly = |line: &&str| {
            let columns = line.split_once(" USING ").map_or("", |(_, columns)| columns);
            let mut words = columns.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| WRITTEN.contains(&word))
        };
        self.indexes.lines().filter(costly).collect()
    }
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defects(pub(crate) Vec<String>);

impl fmt::Display for Defects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Defects {}

#[cfg(test)]
mod tests {
    use super::*;

    fn proper() -> Table {
        let index = |(_, ending): &(&str, &str)| format!("CREATE INDEX x ON public.t{ending}");
        Table {
            kind: "r".into(),
            persistence: "p".into(),
            columns: COLUMNS.join("\n"),
            indexes: INDEXES.iter().map(index).collect::<Vec<_>>().join("\n"),
            ..Table::default()
        }
    }

    #[test]
    fn a_proper_table_has_no_defects_and_each_missing_part_is_one() {
        assert_eq!(proper().defects(), [""; 0]);
        for column in COLUMNS {
            let columns = proper().columns.replace(column, "");
            assert!(!Table { columns, ..proper() }.defects().is_empty(), "{column}");
        }
        for (what, ending) in INDEXES {
            let indexes = proper().indexes.replace(ending, "");
            let defects = Table { indexes, ..proper() }.defects();
            assert!(defects.iter().any(|defect| defect.contains(what)), "{defects:?}");
        }
        assert!(!Table { kind: "v".into(), ..proper() }.defects().is_empty());
    }

    #[test]
    fn more_columns_are_fine_unless_somebody_has_to_fill_them() {
        let with = |line: &str| {
            let columns = format!("{}\n{line}", proper().columns);
            Table { columns, ..proper() }.defects()
        };
        assert!(with("note text").is_empty());
        assert!(with("note text NOT NULL DEFAULT").is_empty());
        assert_eq!(with("note text NOT NULL").len(), 1);
    }

    #[test]
    fn indexes_on_what_is_written_often_are_found() {
        assert_eq!(proper().costly_indexes(), [""; 0]);
        let indexes =
            format!("{}\nCREATE INDEX y ON s.t USING brin (expires_at)", proper().indexes);
        assert_eq!(Table { indexes, ..proper() }.costly_indexes().len(), 1);
    }
}
