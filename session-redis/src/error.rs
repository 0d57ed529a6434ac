//! From what Redis says to what a store says.

use redis::{RedisError, ServerError, Value};
use session_core::{StoreError, StoreErrorKind};

/// The server's error codes and the kinds that they become.
///
/// A code that is not listed is [`StoreErrorKind::Unavailable`]: the server did not do what it was asked for.
const BY_CODE: &[(&str, StoreErrorKind)] = &[
    // The server takes no writes: a replica, a deposed primary, a full disk.
    ("READONLY", StoreErrorKind::ReadOnly),
    ("MISCONF", StoreErrorKind::ReadOnly),
    ("NOREPLICAS", StoreErrorKind::ReadOnly),
    // It has no room or no time.
    ("OOM", StoreErrorKind::Overloaded),
    ("BUSY", StoreErrorKind::Overloaded),
    // It is not ready.
    ("LOADING", StoreErrorKind::Unavailable),
    ("MASTERDOWN", StoreErrorKind::Unavailable),
    ("CLUSTERDOWN", StoreErrorKind::Unavailable),
    ("TRYAGAIN", StoreErrorKind::Unavailable),
    ("NOSCRIPT", StoreErrorKind::Unavailable),
    // Somebody else's data is where a record should be.
    ("WRONGTYPE", StoreErrorKind::Corrupt),
    // It does not let us.
    ("NOAUTH", StoreErrorKind::Denied),
    ("WRONGPASS", StoreErrorKind::Denied),
    ("NOPERM", StoreErrorKind::Denied),
    ("DENIED", StoreErrorKind::Denied),
    // A cluster wants to be spoken to as one.
    ("MOVED", StoreErrorKind::Config),
    ("ASK", StoreErrorKind::Config),
    ("CROSSSLOT", StoreErrorKind::Config),
];

/// Texts behind the code `ERR`, which has no meaning of its own.
const BY_TEXT: &[(&str, StoreErrorKind)] = &[
    ("The user executing the script can't", StoreErrorKind::Denied),
    ("max number of clients", StoreErrorKind::Overloaded),
    ("AUTH <password> called without any password configured", StoreErrorKind::Denied),
    ("unknown command", StoreErrorKind::Config),
    ("wrong number of arguments", StoreErrorKind::Config),
    ("syntax error", StoreErrorKind::Config),
    ("DB index", StoreErrorKind::Config),
    ("SELECT is not allowed", StoreErrorKind::Config),
    ("invalid DB index", StoreErrorKind::Config),
    ("This instance has cluster support", StoreErrorKind::Config),
];

/// What the server said, without what it repeats of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub(crate) struct ServerReply {
    code: String,
    text: String,
}

impl ServerReply {
    fn new(error: &ServerError) -> Self {
        let text = error.details().unwrap_or_default();
        let code = inner_code(error.code(), text).unwrap_or(error.code());
        Self { code: code.to_owned(), text: without_arguments(text).to_owned() }
    }

    fn kind(&self) -> StoreErrorKind {
        let by_code = BY_CODE.iter().find(|(code, _)| *code == self.code);
        let by_text =
            || BY_TEXT.iter().find(|(text, _)| self.code == "ERR" && self.text.contains(text));
        by_code.or_else(by_text).map_or(StoreErrorKind::Unavailable, |(_, kind)| *kind)
    }
}

/// The code of the error inside an error: servers before 7.0 wrap that of a command in a script, and all
/// servers that of a refused `EXEC`.
fn inner_code(code: &str, text: &str) -> Option<&'static str> {
    let inner = match code {
        "ERR" => text.strip_prefix("Error running script")?,
        "EXECABORT" => text.strip_prefix("Transaction discarded because of: ")?,
        _ => return None,
    };
    let mut words = inner.split(|c: char| !c.is_ascii_uppercase());
    words.find_map(|word| BY_CODE.iter().find(|(code, _)| *code == word).map(|(code, _)| *code))
}

/// The server repeats the beginning of a request that it does not understand, records included.
fn without_arguments(text: &str) -> &str {
    text.split(", with args").next().unwrap_or_default()
}

/// The store's error for an error that the server replied.
pub(crate) fn from_server(error: &ServerError, doing: &'static str) -> StoreError {
    let reply = ServerReply::new(error);
    StoreError::new(reply.kind(), doing).with_source(reply)
}

/// The store's error for a reply of a shape that no command of ours has.
pub(crate) fn unexpected(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, doing).with_source(UnexpectedReply)
}

/// The server, or something between, does not speak as Redis does.
#[derive(Debug, thiserror::Error)]
#[error("the reply is not one that Redis gives to this command")]
struct UnexpectedReply;

/// The reply, or the store's error if the server replied one.
pub(crate) fn value(reply: Value, doing: &'static str) -> Result<Value, StoreError> {
    match reply {
        Value::ServerError(error) => Err(from_server(&error, doing)),
        other => Ok(other),
    }
}

pub(crate) fn int(reply: Value, doing: &'static str) -> Result<i64, StoreError> {
    match value(reply, doing)? {
        Value::Int(number) => Ok(number),
        _ => Err(unexpected(doing)),
    }
}

pub(crate) fn bytes(reply: Value, doing: &'static str) -> Result<Vec<u8>, StoreError> {
    match value(reply, doing)? {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unexpected(doing)),
    }
}

pub(crate) fn array(reply: Value, doing: &'static str) -> Result<Vec<Value>, StoreError> {
    match value(reply, doing)? {
        Value::Array(items) => Ok(items),
        _ => Err(unexpected(doing)),
    }
}

/// The code of a reply that is an error.
pub(crate) fn code(reply: &Value) -> Option<&str> {
    match reply {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

/// Whether `reply`, or a reply inside a transaction's, is an error with this code.
pub(crate) fn has_code(reply: &Value, wanted: &str) -> bool {
    match reply {
        Value::Array(items) => items.iter().any(|item| code(item) == Some(wanted)),
        other => code(other) == Some(wanted),
    }
}

/// The store's error for an error of the driver. Only texts of the operating system and of the server are
/// kept: others of the driver's may show what was received.
pub(crate) fn from_driver(
    error: RedisError,
    kind: StoreErrorKind,
    doing: &'static str,
) -> StoreError {
    let store_error = |kind| StoreError::new(kind, doing);
    if error.is_io_error() {
        return store_error(kind).with_source(error);
    }
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => store_error(StoreErrorKind::Denied)
            .with_source(DriverError("the server refused the credentials")),
        redis::ErrorKind::InvalidClientConfig => store_error(StoreErrorKind::Config)
            .with_source(DriverError("the connection settings are not usable")),
        _ => match ServerError::try_from(error) {
            Ok(error) => from_server(&error, doing),
            Err(error) => store_error(kind).with_source(DriverError(match error.kind() {
                redis::ErrorKind::Parse => "the reply could not be parsed",
                _ => "the connection failed",
            })),
        },
    }
}

/// What the driver said, in our own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DriverError(&'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn parse(line: &str) -> ServerError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_documented_reply_has_its_kind() {
        use StoreErrorKind as Kind;
        for (line, kind) in [
            ("READONLY You can't write against a read only replica.", Kind::ReadOnly),
            ("MISCONF Redis is configured to save RDB snapshots", Kind::ReadOnly),
            ("NOREPLICAS Not enough good replicas to write.", Kind::ReadOnly),
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::Overloaded),
            ("BUSY Redis is busy running a script.", Kind::Overloaded),
            ("LOADING Redis is loading the dataset in memory", Kind::Unavailable),
            ("MASTERDOWN Link with MASTER is down", Kind::Unavailable),
            ("CLUSTERDOWN The cluster is down", Kind::Unavailable),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Kind::Unavailable),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind::Corrupt),
            ("NOAUTH Authentication required.", Kind::Denied),
            ("WRONGPASS invalid username-password pair or user is disabled.", Kind::Denied),
            ("NOPERM this user has no permissions to run the 'set' command", Kind::Denied),
            ("MOVED 3999 127.0.0.1:6381", Kind::Config),
            ("CROSSSLOT Keys in request don't hash to the same slot", Kind::Config),
            ("ERR max number of clients reached", Kind::Overloaded),
            ("ERR unknown command 'GETDEL'", Kind::Config),
            ("ERR DB index is out of range", Kind::Config),
            (
                "ERR The user executing the script can't run this command or subcommand",
                Kind::Denied,
            ),
            (
                "EXECABORT Transaction discarded because of: NOPERM this user has no permissions",
                Kind::Denied,
            ),
            ("EXECABORT Transaction discarded because of previous errors.", Kind::Unavailable),
            ("ERR something new", Kind::Unavailable),
            ("SOMETHING new", Kind::Unavailable),
        ] {
            assert_eq!(from_server(&parse(line), "x").kind(), kind, "{line}");
        }
    }

    #[test]
    fn errors_inside_scripts_of_old_servers_are_recognised() {
        for (line, kind) in [
            (
                "ERR Error running script (call to f_ab): @user_script:7: @user_script: 7: -OOM command not allowed",
                StoreErrorKind::Overloaded,
            ),
            (
                "ERR Error running script (call to f_ab): @user_script:7: -READONLY You can't write",
                StoreErrorKind::ReadOnly,
            ),
            (
                "ERR Error running script (call to f_ab): @user_script:7: The user executing the script can't",
                StoreErrorKind::Denied,
            ),
            (
                "ERR Error running script (call to f_ab): @user_script:7: unknown trouble",
                StoreErrorKind::Unavailable,
            ),
        ] {
            assert_eq!(from_server(&parse(line), "x").kind(), kind, "{line}");
        }
    }

    #[test]
    fn what_the_server_repeats_of_a_request_is_not_kept() {
        let error = from_server(
            &parse(
                "ERR unknown command 'SET', with args beginning with: 'session:s:' 'canary-payload'",
            ),
            "create",
        );
        let source = error.source().unwrap().to_string();
        assert_eq!(source, "ERR unknown command 'SET'");
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn a_reply_that_cannot_be_parsed_is_not_shown() {
        let parse_error = redis::parse_redis_value(b"?canary-payload\r\n").unwrap_err();
        let error = from_driver(parse_error, StoreErrorKind::OutcomeUnknown, "update");
        assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown);
        assert!(!format!("{error:?} {}", error.source().unwrap()).contains("canary"));
    }
}
