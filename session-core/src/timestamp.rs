//! Points in time, as data.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch, from 0 to the end of the year 9999.
///
/// Time is an argument of every store operation; no adapter reads a clock. Arithmetic saturates at
/// [`Timestamp::MIN`] and [`Timestamp::MAX`], so that no configuration and no stored value can
/// overflow or wrap.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let now = Timestamp::from_millis(1_000);
/// assert_eq!(now.plus(Duration::from_secs(1)).as_millis(), 2_000);
/// assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const MIN: Self = Self(0);

    /// 9999-12-31T23:59:59.999Z, the last moment that every backend can store.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The point `millis` milliseconds after the Unix epoch, clamped to the valid range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// The same point, or `None` outside the valid range.
    ///
    /// This is what an adapter uses on a stored value: a negative or absurd time is a corrupt
    /// record, not a clamped one.
    #[must_use]
    pub const fn from_stored_millis(millis: i64) -> Option<Self> {
        if millis < 0 || millis.cast_unsigned() > Self::MAX.0 {
            None
        } else {
            Some(Self(millis.cast_unsigned()))
        }
    }

    /// Milliseconds since the Unix epoch. Below 2^53, hence exact in a double too.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch as a signed number, for backends that have no other.
    #[must_use]
    pub const fn as_stored_millis(self) -> i64 {
        self.0.cast_signed()
    }

    /// The point `duration` later. Parts of a millisecond are dropped.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(duration)))
    }

    /// The point `duration` earlier. Parts of a millisecond are dropped.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The latest point at or before `self` that is a multiple of `step` after the epoch.
    #[must_use]
    pub(crate) fn floor_to(self, step: Duration) -> Self {
        Self(self.0 - self.0 % millis(step).max(1))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({} ms)", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MIN.minus(Duration::from_secs(1)), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.plus(Duration::from_millis(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn stored_values_outside_the_range_are_refused() {
        assert_eq!(Timestamp::from_stored_millis(-1), None);
        assert_eq!(Timestamp::from_stored_millis(253_402_300_800_000), None);
        assert_eq!(Timestamp::from_stored_millis(253_402_300_799_999), Some(Timestamp::MAX));
    }

    #[test]
    fn flooring_never_moves_forward() {
        let step = Duration::from_millis(50);
        assert_eq!(Timestamp::from_millis(149).floor_to(step).as_millis(), 100);
        assert_eq!(Timestamp::from_millis(100).floor_to(step).as_millis(), 100);
        assert_eq!(Timestamp::from_millis(7).floor_to(Duration::ZERO).as_millis(), 7);
    }
}
