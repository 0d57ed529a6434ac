//! Points in time as PostgreSQL keeps them.

use session_core::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// The type `timestamptz`.
pub(crate) const TIMESTAMPTZ: Oid = Oid(1184);

/// From the Unix epoch to 2000-01-01, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;
const MILLISECOND: i64 = 1_000;
const SECOND: i64 = 1_000_000;

/// Microseconds since 2000-01-01 UTC: what a `timestamptz` is, whatever the time zone of server or connection.
///
/// Written out here because the usual types of time cannot hold all that may stand in such a column, the year
/// 294276 and `infinity` included, and reading must not fail by panicking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgTime(i64);

impl PgTime {
    pub(crate) const fn new(time: Timestamp) -> Self {
        // In range: the last timestamp is 2.6e17 microseconds after the epoch.
        Self(time.as_stored_millis() * MILLISECOND - EPOCH)
    }

    pub(crate) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(i64::from_be_bytes(bytes))
    }

    /// The end of the second in which this time lies.
    #[must_use]
    pub(crate) const fn second_after(self) -> Self {
        Self(self.0 + (-self.0).rem_euclid(SECOND))
    }

    /// Without the microseconds that only people write. `None` outside the years of a [`Timestamp`].
    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        let micros = self.0.checked_add(EPOCH)?;
        let whole = micros <= Timestamp::MAX.as_stored_millis() * MILLISECOND;
        Timestamp::from_stored_millis(micros.div_euclid(MILLISECOND)).filter(|_| whole)
    }

    /// The same point as an SQL expression. Hours and less, because a day's length depends on the time zone.
    pub(crate) fn literal(self) -> String {
        let micros = self.0 + EPOCH;
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("(timestamptz 'epoch' + interval '{hours}:{minutes:02}:{seconds:02}.{micros:06}')")
    }
}

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_comes_back() {
        for millis in [0, 1, 999, 946_684_799_999, 946_684_800_000, 1_795_000_000_123] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(PgTime::new(time).timestamp(), Some(time));
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(PgTime::new(time).timestamp(), Some(time));
        }
    }

    #[test]
    fn what_is_no_timestamp_is_nothing() {
        let last = PgTime::new(Timestamp::MAX).0;
        for micros in [i64::MIN, i64::MAX, -EPOCH - 1, last + 1, last + MILLISECOND] {
            assert_eq!(PgTime(micros).timestamp(), None, "{micros}");
        }
        assert_eq!(PgTime(1_999 - EPOCH).timestamp(), Some(Timestamp::from_millis(1)));
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, up) in [(0, 0), (1, 1_000), (999, 1_000), (1_000, 1_000), (1_001, 2_000)] {
            let time = PgTime::new(Timestamp::from_millis(millis));
            assert_eq!(time.second_after(), PgTime(up * MILLISECOND - EPOCH), "{millis}");
        }
        let end = PgTime::new(Timestamp::MAX);
        assert_eq!(
            end.second_after().0 - end.0,
            MILLISECOND,
            "beyond the last timestamp, no overflow"
        );
    }

    #[test]
    fn literals_have_every_millisecond() {
        let literal = |millis| PgTime::new(Timestamp::from_millis(millis)).literal();
        assert_eq!(literal(0), "(timestamptz 'epoch' + interval '0:00:00.000000')");
        assert_eq!(literal(90_061_001), "(timestamptz 'epoch' + interval '25:01:01.001000')");
        assert!(PgTime::new(Timestamp::MAX).literal().contains("'70389527:59:59.999000'"));
    }
}
