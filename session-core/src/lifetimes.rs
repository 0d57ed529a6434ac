//! How long a session lives.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// The idle and the absolute lifetime of a session. Both always hold.
///
/// A session ends when it was not used for `idle`, or when `absolute` has passed since it was created or
/// logged in, whichever comes first. Use extends the first and never the second (OWASP Session Management
/// Cheat Sheet; NIST SP 800-63B-4, section 5.2).
///
/// ```
/// use session_core::Lifetimes;
/// use std::time::Duration;
///
/// let lifetimes = Lifetimes::new(Duration::from_secs(30 * 60), Duration::from_secs(12 * 3600))?;
/// assert_eq!(lifetimes.idle(), Duration::from_secs(1800));
/// assert!(Lifetimes::new(Duration::from_secs(60), Duration::from_secs(30)).is_err());
/// # Ok::<(), session_core::InvalidLifetimes>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    idle: Duration,
    absolute: Duration,
    touch_percent: u8,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Lifetimes {
    /// The shortest idle lifetime.
    pub const MIN_IDLE: Duration = Duration::from_secs(1);

    /// The longest absolute lifetime: 400 days, the longest that browsers keep a cookie (RFC 6265bis,
    /// section 5.5).
    pub const MAX_ABSOLUTE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

    /// NIST SP 800-63B-4, authentication assurance level 1: 30 days, however used.
    pub const NIST_AAL1: Self = Self::preset(Duration::from_secs(30 * DAY.as_secs()), 30);

    /// NIST SP 800-63B-4, level 2: 1 hour without use, 24 hours in all.
    pub const NIST_AAL2: Self = Self::preset(HOUR, 1);

    /// NIST SP 800-63B-4, level 3: 15 minutes without use, 12 hours in all.
    pub const NIST_AAL3: Self = Self {
        idle: Duration::from_secs(15 * MINUTE.as_secs()),
        absolute: Duration::from_secs(12 * HOUR.as_secs()),
        touch_percent: DEFAULT_TOUCH_PERCENT,
    };

    /// What logged-in sessions get by default: 1 day without use, 14 days in all. Within level 1 of NIST,
    /// and short enough that a forgotten browser does not stay logged in for a month.
    pub const DEFAULT_AUTHENTICATED: Self = Self::preset(DAY, 14);

    /// What anonymous sessions get by default: 1 hour without use, 1 day in all.
    pub const DEFAULT_ANONYMOUS: Self = Self::preset(HOUR, 1);

    const fn preset(idle: Duration, absolute_days: u64) -> Self {
        Self {
            idle,
            absolute: Duration::from_secs(absolute_days * DAY.as_secs()),
            touch_percent: DEFAULT_TOUCH_PERCENT,
        }
    }

    /// Lifetimes with these limits.
    ///
    /// # Errors
    ///
    /// [`InvalidLifetimes`] for an idle lifetime of less than a second, an absolute one of more than 400 days,
    /// or an idle one longer than the absolute one.
    pub fn new(idle: Duration, absolute: Duration) -> Result<Self, InvalidLifetimes> {
        if idle < Self::MIN_IDLE || absolute > Self::MAX_ABSOLUTE || idle > absolute {
            return Err(InvalidLifetimes);
        }
        Ok(Self { idle, absolute, touch_percent: DEFAULT_TOUCH_PERCENT })
    }

    /// Which part of the idle lifetime has to pass before a read-only request writes a touch, in percent:
    /// 5 to 90, default 10. Values outside are brought into the range.
    ///
    /// A session that is used at all may end by this part earlier than its idle lifetime says.
    #[must_use]
    pub fn touch_after_percent(mut self, percent: u8) -> Self {
        self.touch_percent = percent.clamp(100 / TOUCH_STEPS, 90);
        self
    }

    /// How long a session may be unused.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// How long a session may exist in all.
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    /// The same lifetimes, but with an idle one of at most `idle`.
    pub(crate) fn idle_at_most(self, idle: Duration) -> Self {
        Self { idle: self.idle.min(idle), ..self }
    }

    /// The absolute deadline of a session that starts, or logs in, at `now`.
    pub(crate) fn deadline(&self, now: Timestamp) -> Timestamp {
        now.plus(self.absolute)
    }

    /// The idle deadline of a session that is used at `now`.
    pub(crate) fn expires_at(&self, now: Timestamp, deadline: Timestamp) -> Timestamp {
        now.plus(self.idle).min(deadline)
    }

    /// The idle deadline to touch a session to, or `None` while no touch is due.
    ///
    /// Rounded down to a multiple of a twentieth of the idle lifetime, so that a herd of requests writes
    /// one and the same value.
    pub(crate) fn touch_to(
        &self,
        now: Timestamp,
        expires_at: Timestamp,
        deadline: Timestamp,
    ) -> Option<Timestamp> {
        let due = self.idle * u32::from(self.touch_percent) / 100;
        if now.plus(self.idle).since(expires_at) < due {
            return None;
        }
        let target = now.plus(self.idle).floor_to(self.idle / u32::from(TOUCH_STEPS)).min(deadline);
        (target > expires_at).then_some(target)
    }
}

const DEFAULT_TOUCH_PERCENT: u8 = 10;
const TOUCH_STEPS: u8 = 20;

/// Not lifetimes: idle under a second, absolute over 400 days, or idle longer than absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lifetimes need 1 second <= idle <= absolute <= 400 days")]
pub struct InvalidLifetimes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_that_make_no_sense_do_not_build() {
        for (idle, absolute) in [
            (Duration::ZERO, DAY),
            (Duration::from_micros(10), DAY),
            (DAY, HOUR),
            (HOUR, Duration::MAX),
            (Duration::MAX, Duration::MAX),
            (HOUR, DAY * 401),
        ] {
            assert_eq!(Lifetimes::new(idle, absolute), Err(InvalidLifetimes));
        }
        assert!(Lifetimes::new(HOUR, HOUR).is_ok());
        assert!(Lifetimes::new(HOUR, DAY * 400).is_ok());
    }

    #[test]
    fn presets_are_within_what_nist_allows() {
        assert!(Lifetimes::NIST_AAL1.absolute() <= DAY * 30);
        assert_eq!((Lifetimes::NIST_AAL2.idle(), Lifetimes::NIST_AAL2.absolute()), (HOUR, DAY));
        assert_eq!(Lifetimes::NIST_AAL3.idle(), MINUTE * 15);
        assert_eq!(Lifetimes::NIST_AAL3.absolute(), HOUR * 12);
        assert!(Lifetimes::DEFAULT_AUTHENTICATED.absolute() <= Lifetimes::NIST_AAL1.absolute());
    }

    #[test]
    fn a_touch_is_due_after_a_tenth_and_never_longer_than_idle() {
        let lifetimes = Lifetimes::new(Duration::from_secs(1000), DAY).unwrap();
        let start = Timestamp::from_millis(1_700_000_000_123);
        let deadline = lifetimes.deadline(start);
        let expires = lifetimes.expires_at(start, deadline);
        let early = start.plus(Duration::from_millis(99_999));
        assert_eq!(lifetimes.touch_to(early, expires, deadline), None);
        let due = start.plus(Duration::from_secs(100));
        let target = lifetimes.touch_to(due, expires, deadline).unwrap();
        assert!(target > expires && target <= due.plus(lifetimes.idle()));
        assert_eq!(target.as_millis() % 50_000, 0, "a multiple of a twentieth");
    }

    #[test]
    fn no_touch_goes_beyond_the_deadline() {
        let lifetimes = Lifetimes::new(HOUR, HOUR).unwrap();
        let start = Timestamp::from_millis(1_700_000_000_000);
        let deadline = lifetimes.deadline(start);
        let later = start.plus(MINUTE * 30);
        assert_eq!(lifetimes.touch_to(later, deadline, deadline), None);
        assert_eq!(lifetimes.expires_at(later, deadline), deadline);
    }
}
