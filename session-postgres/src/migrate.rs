//! The creation of the table.

use session_core::{StoreError, StoreErrorKind};

use crate::source::{Failure, Limits};
use crate::statement::{Form, Statement};
use crate::store::PostgresStore;
use crate::table;

/// The files of the folder `migrations`, in their order. A file that has been released is never changed.
const FILES: &[&str] = &[include_str!("../migrations/0001_sessions.sql")];

/// The schema that every database has.
const PUBLIC: &str = "public";

/// Whoever migrates the same table waits here until the transaction of the one before has ended.
const LOCK: &str = "SELECT pg_advisory_xact_lock(\
     hashtextextended('session-postgres {schema_name}.{table_name}', 0));";

impl PostgresStore {
    /// Creates the schema, the table and its indexes, or what of them is missing. The same again changes
    /// nothing, and takes no lock.
    ///
    /// Everything is done in one transaction, at whose end the table takes a row for a test. Any number of
    /// processes may call it at once. The user needs to own the table, or to be allowed to create it:
    /// `CREATE` on the schema, and on the database for a schema that is not there.
    ///
    /// # Errors
    ///
    /// `Denied` without these privileges; `Config` for a table of this name that is another one.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let found = self.look().await?;
        if found.table.as_ref().is_some_and(|table| table.defects().is_empty()) {
            return Ok(());
        }
        let mut parts = vec![format!(
            "SET LOCAL statement_timeout = {};",
            self.inner.walk_deadline.as_millis()
        )];
        parts.push(LOCK.to_owned());
        if names.schema() != PUBLIC && !found.has_schema {
            parts.push("CREATE SCHEMA IF NOT EXISTS {schema};".to_owned());
        }
        parts.extend(FILES.iter().map(|file| self.adapted(file)));
        parts.push(include_str!("../migrations/probe.sql").to_owned());
        // Several statements in one message are one transaction, which ends with it in any case.
        let script = Statement::new("migrate", &parts.join("\n"), names, Form::Plain);
        let limits = Limits {
            deadline: self.walk_end(),
            response: self.inner.walk_deadline,
            ..self.limits(false)
        };
        self.run(limits, &script, &[]).await.map_err(Failure::of_write)?;

        let defects = match self.look().await?.table {
            Some(table) => table.defects(),
            None => vec!["it is not there".to_owned()],
        };
        if defects.is_empty() {
            tracing::info!(table = %names, "table of sessions created");
            return Ok(());
        }
        Err(StoreError::new(
            StoreErrorKind::Config,
            "migrate: the table is there and is another one",
        )
        .with_source(table::Defects(defects)))
    }

    /// The statements of [`migrate`](Self::migrate), for people who run them by themselves, with the names of
    /// this store in them. Each can be run again.
    #[must_use]
    pub fn migration(&self) -> String {
        let mut script = String::new();
        if self.schema() != PUBLIC {
            script.push_str("CREATE SCHEMA IF NOT EXISTS {schema};\n\n");
        }
        for file in FILES {
            script.push_str(&self.adapted(file));
        }
        self.inner.names.fill(&script)
    }

    fn adapted(&self, file: &str) -> String {
        if self.inner.unlogged {
            file.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")
        } else {
            file.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;

    #[test]
    fn nothing_but_names_is_left_to_fill_in() {
        let names = Names::new("s", "t").unwrap();
        for file in FILES {
            let filled = names.fill(file);
            assert!(!filled.contains(['{', '}', '$']), "{filled}");
            assert!(file.contains("CREATE TABLE IF NOT EXISTS"), "what `adapted` looks for");
        }
    }
}
