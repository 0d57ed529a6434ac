//! From what PostgreSQL says to what a store says.

use session_core::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What an SQLSTATE means for a store.
struct State {
    /// The code, or the class with which it begins.
    code: &'static str,
    kind: StoreErrorKind,
    /// What it is, in our own words: the server's may repeat values.
    text: &'static str,
}

const fn state(code: &'static str, kind: StoreErrorKind, text: &'static str) -> State {
    State { code, kind, text }
}

/// The codes and classes that are told apart, single codes first.
///
/// What is not listed is [`StoreErrorKind::Unavailable`]: the server did not do what it was asked for.
const STATES: &[State] = &[
    // The server takes no writes: a standby, a server set to read-only, a full disk.
    state("25006", StoreErrorKind::ReadOnly, "the server is read-only"),
    state("53100", StoreErrorKind::ReadOnly, "the server's disk is full"),
    // It has no room or no time.
    state("53200", StoreErrorKind::Overloaded, "the server is out of memory"),
    state("53300", StoreErrorKind::Overloaded, "the server has too many connections"),
    state("53400", StoreErrorKind::Overloaded, "the server has reached a limit"),
    state("55P03", StoreErrorKind::Overloaded, "a lock was not free in time"),
    state("57014", StoreErrorKind::Overloaded, "the server canceled the statement"),
    // It is not there, or going away.
    state("57P01", StoreErrorKind::Unavailable, "the server ends the connection"),
    state("57P02", StoreErrorKind::Unavailable, "another process of the server has crashed"),
    state("57P03", StoreErrorKind::Unavailable, "the server is starting or stopping"),
    state("57P04", StoreErrorKind::Config, "the database has been dropped"),
    state("57P05", StoreErrorKind::Unavailable, "the connection was idle for too long"),
    state("08", StoreErrorKind::Unavailable, "the connection failed"),
    // The statement was undone, and can be sent again.
    state("40001", StoreErrorKind::Unavailable, "the statement met another one"),
    state("40P01", StoreErrorKind::Unavailable, "the statement met another one in a deadlock"),
    // Somebody left the connection in the middle of a transaction.
    state("25P02", StoreErrorKind::Unavailable, "the connection has a failed transaction"),
    state("25P03", StoreErrorKind::Unavailable, "the connection was idle in a transaction"),
    // The plan of a prepared statement does not fit the table any more.
    state("0A000", StoreErrorKind::Unavailable, "a prepared statement is out of date"),
    // It does not let us.
    state("28P01", StoreErrorKind::Denied, "the password is not accepted"),
    state("28", StoreErrorKind::Denied, "the server does not let this user in"),
    state("42501", StoreErrorKind::Denied, "a privilege is missing"),
    // What we rely on is not there.
    state("3D", StoreErrorKind::Config, "there is no such database"),
    state("3F", StoreErrorKind::Config, "there is no such schema; run `migrate`"),
    state("42P01", StoreErrorKind::Config, "there is no such table; run `migrate`"),
    state("42703", StoreErrorKind::Config, "the table lacks a column; run `migrate`"),
    state("42P10", StoreErrorKind::Config, "the table lacks its primary key"),
    state("42", StoreErrorKind::Config, "the table is not as it should be"),
    state("22", StoreErrorKind::Config, "the table is not as it should be"),
    state("23", StoreErrorKind::Config, "a constraint on the table refuses the row"),
    state("26000", StoreErrorKind::Config, "a pooler lost a prepared statement; see `pooler`"),
    state("54", StoreErrorKind::Config, "a limit of the server is too low"),
];

/// Codes in class 42 that are no fault of the table.
const PREPARED_TWICE: &str = "42P05";

/// After these the connection is of no use, though it may still be there.
const SPOILED: &[&str] = &["25006", "25P02", "0A000", "26000", PREPARED_TWICE];

/// What the server said, without what it repeats of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SQLSTATE {}: {text}", .code.escape_ascii())]
pub(crate) struct ServerError {
    code: [u8; 5],
    kind: StoreErrorKind,
    text: &'static str,
    /// The server ends the connection with it.
    fatal: bool,
}

impl ServerError {
    fn new(error: &PgDatabaseError) -> Self {
        let fatal = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
        Self::of_code(error.code(), fatal)
    }

    fn of_code(code: &str, fatal: bool) -> Self {
        let found = STATES.iter().find(|state| code.starts_with(state.code));
        let (kind, text) = match (code, found) {
            (PREPARED_TWICE, _) => {
                (StoreErrorKind::Config, "a pooler mixed up prepared statements; see `pooler`")
            }
            (_, Some(state)) => (state.kind, state.text),
            (_, None) => (StoreErrorKind::Unavailable, "the server refused the statement"),
        };
        Self { code: code.as_bytes().try_into().unwrap_or(*b"?????"), kind, text, fatal }
    }

    fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// Whether the server undid the statement because of another one.
    pub(crate) fn is_collision(&self) -> bool {
        matches!(self.code(), "40001" | "40P01")
    }

    /// Whether the connection must not be used again.
    pub(crate) fn spoils_connection(&self) -> bool {
        self.fatal || SPOILED.contains(&self.code())
    }

    /// Whether a plan was out of date: nothing was done, and a new connection makes a new plan.
    pub(crate) fn is_stale_plan(&self) -> bool {
        self.code() == "0A000"
    }

    pub(crate) fn into_store_error(self, doing: &'static str) -> StoreError {
        StoreError::new(self.kind, doing).with_source(self)
    }
}

/// What became of a statement that was sent and not answered as hoped.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server said no. The statement had no effect.
    Refused(ServerError),
    /// The connection is gone or out of step. The statement may have had its effect.
    Lost(StoreError),
}

/// Sorts an error of the driver.
///
/// With `FATAL` and worse the server ends the connection, which can also happen between a commit and its
/// report.
pub(crate) fn trouble(error: sqlx::Error) -> Trouble {
    match database_error(&error) {
        Some(said) if !said.fatal => Trouble::Refused(said),
        Some(said) => Trouble::Lost(
            StoreError::new(StoreErrorKind::OutcomeUnknown, "no reply").with_source(said),
        ),
        None => Trouble::Lost(from_driver(error, StoreErrorKind::OutcomeUnknown, "no reply")),
    }
}

/// The store's error for a connection that could not be opened.
pub(crate) fn of_connect(error: sqlx::Error) -> StoreError {
    match (database_error(&error), &error) {
        (Some(said), _) => said.into_store_error("connect"),
        (None, sqlx::Error::PoolTimedOut) => {
            StoreError::new(StoreErrorKind::Timeout, "wait for a connection of the pool")
        }
        (None, sqlx::Error::PoolClosed) => {
            StoreError::new(StoreErrorKind::Config, "the pool is closed")
        }
        (None, _) => from_driver(error, StoreErrorKind::Unavailable, "connect"),
    }
}

fn database_error(error: &sqlx::Error) -> Option<ServerError> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    Some(ServerError::new(error))
}

/// Only texts of the operating system and of TLS are kept: others of the driver's may show what was received
/// or configured.
fn from_driver(error: sqlx::Error, kind: StoreErrorKind, doing: &'static str) -> StoreError {
    let store_error = |kind| StoreError::new(kind, doing);
    match error {
        sqlx::Error::Io(error) => store_error(kind).with_source(error),
        sqlx::Error::Tls(error) => store_error(kind).with_source(error),
        sqlx::Error::Configuration(_) => store_error(StoreErrorKind::Config)
            .with_source(DriverError("the connection settings are not usable")),
        sqlx::Error::Protocol(_) => store_error(kind)
            .with_source(DriverError("the server does not speak as PostgreSQL does")),
        _ => store_error(kind).with_source(DriverError("the driver failed")),
    }
}

/// The store's error for a reply of a shape that no statement of ours has.
pub(crate) fn unexpected(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, doing)
        .with_source(DriverError("the reply is not one to this statement"))
}

/// What the driver said, in our own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DriverError(&'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn every_listed_state_has_its_kind() {
        use StoreErrorKind as Kind;
        for (code, kind) in [
            ("25006", Kind::ReadOnly),
            ("53100", Kind::ReadOnly),
            ("53200", Kind::Overloaded),
            ("53300", Kind::Overloaded),
            ("53400", Kind::Overloaded),
            ("55P03", Kind::Overloaded),
            ("57014", Kind::Overloaded),
            ("57P01", Kind::Unavailable),
            ("57P02", Kind::Unavailable),
            ("57P03", Kind::Unavailable),
            ("57P04", Kind::Config),
            ("57P05", Kind::Unavailable),
            ("08000", Kind::Unavailable),
            ("08006", Kind::Unavailable),
            ("08P01", Kind::Unavailable),
            ("40001", Kind::Unavailable),
            ("40P01", Kind::Unavailable),
            ("25P02", Kind::Unavailable),
            ("25P03", Kind::Unavailable),
            ("0A000", Kind::Unavailable),
            ("28P01", Kind::Denied),
            ("28000", Kind::Denied),
            ("42501", Kind::Denied),
            ("3D000", Kind::Config),
            ("3F000", Kind::Config),
            ("42P01", Kind::Config),
            ("42703", Kind::Config),
            ("42P10", Kind::Config),
            ("42804", Kind::Config),
            ("42P05", Kind::Config),
            ("22P02", Kind::Config),
            ("23505", Kind::Config),
            ("23502", Kind::Config),
            ("26000", Kind::Config),
            ("54000", Kind::Config),
            ("58030", Kind::Unavailable),
            ("XX000", Kind::Unavailable),
            ("", Kind::Unavailable),
            ("é", Kind::Unavailable),
        ] {
            assert_eq!(ServerError::of_code(code, false).kind, kind, "{code}");
        }
    }

    #[test]
    fn no_class_hides_a_code_of_its_own() {
        for (place, state) in STATES.iter().enumerate() {
            let first = STATES.iter().position(|other| state.code.starts_with(other.code));
            assert_eq!(first, Some(place), "{}", state.code);
        }
    }

    #[test]
    fn connections_that_are_of_no_use_are_told_apart() {
        for code in ["25006", "25P02", "0A000", "26000", "42P05"] {
            assert!(ServerError::of_code(code, false).spoils_connection(), "{code}");
        }
        for code in ["23505", "40001", "42P01", "57014", "53100"] {
            assert!(!ServerError::of_code(code, false).spoils_connection(), "{code}");
            assert!(ServerError::of_code(code, true).spoils_connection(), "{code}");
        }
        assert!(ServerError::of_code("40P01", false).is_collision());
        assert!(!ServerError::of_code("25P02", false).is_collision());
    }

    #[test]
    fn errors_of_the_driver_show_nothing_that_was_received_or_configured() {
        let canary = || "canary".to_owned();
        for error in [
            sqlx::Error::Protocol(canary()),
            sqlx::Error::Configuration(canary().into()),
            sqlx::Error::Decode(canary().into()),
            sqlx::Error::ColumnNotFound(canary()),
            sqlx::Error::Encode(canary().into()),
        ] {
            let error = of_connect(error);
            let shown = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn the_text_names_the_state() {
        let error = ServerError::of_code("42P01", false).into_store_error("load");
        assert_eq!(
            error.source().unwrap().to_string(),
            "SQLSTATE 42P01: there is no such table; run `migrate`"
        );
    }
}
