//! When the records of a shard are to be looked at.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::u48::U48;

/// The times at which records may be over, earliest first.
///
/// An alarm names a record by its hash, and is set when the record is written. It never rings later than
/// the record ends. Nothing is done about it when the record is touched or removed: when it rings, somebody looks.
#[derive(Default)]
pub(crate) struct Alarms(BinaryHeap<Alarm>);

struct Alarm {
    at: U48,
    hash: [u8; 4],
}

impl Alarms {
    /// Costs next to nothing for a time that is not before the others.
    pub(crate) fn set(&mut self, at: U48, hash: u32) {
        if self.0.len() == self.0.capacity() {
            // By a quarter, not by doubling: there is one alarm for every record.
            self.0.reserve_exact(self.0.len() / 4 + 4);
        }
        self.0.push(Alarm { at, hash: hash.to_ne_bytes() });
    }

    /// The earliest alarm, if its time is `now` or before. It does not ring again.
    pub(crate) fn ring(&mut self, now: U48) -> Option<u32> {
        self.0.peek().filter(|alarm| alarm.at <= now)?;
        self.0.pop().map(|alarm| u32::from_ne_bytes(alarm.hash))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Instead of all there are.
    pub(crate) fn set_anew(&mut self, alarms: impl Iterator<Item = (U48, u32)>) {
        let alarms = alarms.map(|(at, hash)| Alarm { at, hash: hash.to_ne_bytes() });
        self.0 = alarms.collect::<Vec<_>>().into();
    }
}

/// The earlier one is the greater one, since a heap hands out its greatest. Alarms of one time are equal, so
/// that none of them has to move.
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}
