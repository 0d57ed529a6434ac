//! Times for people and for machines.

use jiff::Timestamp as Instant;
use session_core::Timestamp;

/// A time as a page shows it.
pub(crate) struct When {
    /// For the attribute `datetime`.
    pub(crate) iso: String,
    /// Such as "in 5 minutes".
    pub(crate) relative: String,
}

impl When {
    pub(crate) fn new(time: Timestamp, now: Timestamp) -> Self {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let iso = Instant::from_millisecond(millis).unwrap_or(Instant::MAX);
        Self { iso: format!("{iso:.0}"), relative: relative(time, now) }
    }
}

fn relative(time: Timestamp, now: Timestamp) -> String {
    let (ahead, behind) = (time.since(now).as_secs(), now.since(time).as_secs());
    match (ahead, behind) {
        (0, 0) => "just now".to_owned(),
        (0, seconds) => format!("{} ago", in_words(seconds)),
        (seconds, _) => format!("in {}", in_words(seconds)),
    }
}

fn in_words(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..=89 => (seconds, "second"),
        90..=5_399 => ((seconds + 30) / 60, "minute"),
        5_400..=129_599 => ((seconds + 1_800) / 3_600, "hour"),
        _ => ((seconds + 43_200) / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_said_in_words() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for (seconds, words) in [
            (1, "1 second"),
            (89, "89 seconds"),
            (90, "2 minutes"),
            (1_800, "30 minutes"),
            (43_199, "12 hours"),
            (86_400 * 14, "14 days"),
        ] {
            let away = Duration::from_secs(seconds);
            assert_eq!(When::new(now.plus(away), now).relative, format!("in {words}"));
            assert_eq!(When::new(now.minus(away), now).relative, format!("{words} ago"));
        }
        let shown = When::new(now, now);
        assert_eq!(
            (shown.relative.as_str(), shown.iso.as_str()),
            ("just now", "2027-01-15T08:00:00Z")
        );
    }
}
