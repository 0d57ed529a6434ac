//! Statements, in the form in which they are sent.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _};

use crate::names::Names;
use crate::time::PgTime;

/// How statements travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prepared once on each connection, the values apart from the text. Answers are binary.
    Prepared,
    /// As one text with the values in it, for poolers that keep no prepared statements: in one round trip, and
    /// each complete in itself. Answers are texts; columns of a record are read as hexadecimal digits.
    Plain,
}

/// A statement of one store.
#[derive(Debug)]
pub(crate) struct Statement {
    name: &'static str,
    text: Arc<str>,
    form: Form,
}

/// A value in a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Bytes(Option<&'a [u8]>),
    Time(Option<PgTime>),
    Int(i64),
    Small(Option<i16>),
}

/// What the server answered.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// Rows that were inserted, updated, deleted or selected.
    pub(crate) affected: u64,
    pub(crate) rows: Vec<PgRow>,
}

impl Statement {
    pub(crate) fn new(name: &'static str, template: &str, names: &Names, form: Form) -> Self {
        let lines = template.lines().map(str::trim).filter(|line| !line.starts_with("--"));
        let text = names.fill(&fragments(&lines.collect::<Vec<_>>().join(" "), form));
        debug_assert!(!text.contains('{'), "an unknown placeholder: {text}");
        Self { name, text: text.into(), form }
    }

    /// What it does, for errors.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) async fn send(
        &self,
        connection: &mut PgConnection,
        values: &[Value<'_>],
    ) -> Result<Reply, sqlx::Error> {
        let mut answers: BoxStream<'_, Result<Either<PgQueryResult, PgRow>, sqlx::Error>> =
            match self.form {
                Form::Prepared => {
                    let text = AssertSqlSafe(Arc::clone(&self.text));
                    connection.fetch_many(sqlx::query_with(text, arguments(values)?))
                }
                // Safe: what is put in is digits.
                Form::Plain => {
                    connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(self.with(values))))
                }
            };
        let mut reply = Reply::default();
        while let Some(answer) = answers.try_next().await? {
            match answer {
                Either::Left(done) => reply.affected += done.rows_affected(),
                Either::Right(row) => reply.rows.push(row),
            }
        }
        Ok(reply)
    }

    /// The text with the values in place of `$1`, `$2` and so on.
    fn with(&self, values: &[Value<'_>]) -> String {
        let mut parts = self.text.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let value =
                part[..digits].parse::<usize>().ok().and_then(|n| values.get(n.checked_sub(1)?));
            value.unwrap_or(&Value::Bytes(None)).write_to(&mut text);
            text.push_str(&part[digits..]);
        }
        text
    }
}

impl Value<'_> {
    fn write_to(&self, text: &mut String) {
        match self {
            Self::Bytes(Some(bytes)) => {
                text.push_str("decode('");
                for byte in *bytes {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{byte:02x}");
                }
                text.push_str("','hex')");
            }
            Self::Time(Some(time)) => text.push_str(&time.literal()),
            Self::Int(number) => {
                let _ = write!(text, "'{number}'::bigint");
            }
            Self::Small(Some(number)) => {
                let _ = write!(text, "'{number}'::smallint");
            }
            Self::Bytes(None) => text.push_str("NULL::bytea"),
            Self::Time(None) => text.push_str("NULL::timestamptz"),
            Self::Small(None) => text.push_str("NULL::smallint"),
        }
    }
}

fn arguments(values: &[Value<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Value::Bytes(bytes) => arguments.add(*bytes),
            Value::Time(time) => arguments.add(*time),
            Value::Int(number) => arguments.add(*number),
            Value::Small(number) => arguments.add(*number),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// The columns of a record, with the functions that give the bytes in which they are sent.
const COLUMNS: &[(&str, &str)] = &[
    ("id", ""),
    ("secret_hash", ""),
    ("previous_hash", ""),
    ("credential_tag", ""),
    ("subject", ""),
    ("payload", ""),
    ("created_at", "timestamptz_send"),
    ("expires_at", "timestamptz_send"),
    ("deadline", "timestamptz_send"),
    ("grace_until", "timestamptz_send"),
    ("authenticated_at", "timestamptz_send"),
    ("revision", "int8send"),
    ("format", "int2send"),
    ("authentication_level", "int2send"),
];

/// What a listing reads, in the order that `row::summary` expects.
const SUMMARY: &str = "{id}, {subject}, {created_at}, {expires_at}, {deadline}, {authenticated_at}, \
     {authentication_level}, {readable}";

/// Whether a record can be made of a row, as far as listings do not see it by themselves.
const READABLE: &str = "coalesce(format > 1 OR (format = 1 \
     AND created_at BETWEEN {earliest} AND {latest} \
     AND expires_at BETWEEN {earliest} AND {latest} \
     AND deadline BETWEEN {earliest} AND {latest} \
     AND octet_length(secret_hash) = 32 \
     AND octet_length(payload) <= 262144 \
     AND coalesce(octet_length(subject) BETWEEN 2 AND 255, true) \
     AND coalesce(octet_length(credential_tag) BETWEEN 1 AND 32, true) \
     AND (previous_hash IS NULL) = (grace_until IS NULL) \
     AND coalesce(octet_length(previous_hash) = 32, true) \
     AND coalesce(grace_until BETWEEN {earliest} AND {latest}, true) \
     AND (authenticated_at IS NULL) = (authentication_level IS NULL) \
     AND coalesce(authentication_level BETWEEN 0 AND 255, true) \
     AND coalesce(authenticated_at BETWEEN {earliest} AND {latest}, true)), false)";

fn fragments(template: &str, form: Form) -> String {
    let mut text = template
        .replace("{summary}", SUMMARY)
        .replace("{readable}", READABLE)
        .replace("{subject_key}", "hashtextextended(encode(subject, 'hex'), 0)")
        .replace("{given_key}", "hashtextextended(encode($1, 'hex'), 0)")
        .replace("{earliest}", "timestamptz '1970-01-01 00:00:00+00'")
        .replace("{latest}", "timestamptz '9999-12-31 23:59:59.999+00'");
    for (column, send) in COLUMNS {
        let read = match form {
            Form::Prepared => (*column).to_owned(),
            Form::Plain => format!("encode({send}({column}), 'hex')"),
        };
        text = text.replace(&format!("{{{column}}}"), &read);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::Timestamp;

    fn statement(template: &str, form: Form) -> Statement {
        Statement::new("test", template, &Names::new("s", "t").unwrap(), form)
    }

    #[test]
    fn names_and_columns_are_filled_in_and_comments_left_out() {
        let template = "-- why\nSELECT {id}, {revision}\nFROM {table}";
        assert_eq!(
            &*statement(template, Form::Prepared).text,
            r#"SELECT id, revision FROM "s"."t""#
        );
        assert_eq!(
            &*statement(template, Form::Plain).text,
            r#"SELECT encode((id), 'hex'), encode(int8send(revision), 'hex') FROM "s"."t""#
        );
    }

    #[test]
    fn values_become_digits_and_nothing_else() {
        let plain = statement("$1 $2 $3 $10 $4,$5 $6", Form::Plain);
        let hostile = b"'); DROP--\\";
        let time = PgTime::new(Timestamp::from_millis(1));
        let mut values = vec![
            Value::Bytes(Some(hostile)),
            Value::Int(i64::MIN),
            Value::Small(Some(-1)),
            Value::Time(Some(time)),
            Value::Bytes(None),
            Value::Small(None),
        ];
        values.resize(9, Value::Int(0));
        values.push(Value::Bytes(Some(b"")));
        let hex = "27293b2044524f502d2d5c";
        assert_eq!(
            plain.with(&values),
            format!(
                "decode('{hex}','hex') '-9223372036854775808'::bigint '-1'::smallint decode('','hex') {},NULL::bytea NULL::smallint",
                time.literal()
            )
        );
    }
}
