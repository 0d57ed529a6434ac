//! Locks and placement.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use session_core::{OsRandom, SessionId};

use crate::hash::{IdHash, shard_for};
use crate::primitives::{HashKeys, SHARDS};
use crate::shards::Shards;
use crate::u48::U48;

#[test]
fn a_poisoned_lock_is_used_on() {
    let shards = Shards::<u32>::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut number = shards.lock(3);
        *number = 7;
        panic!("inside the lock");
    }));
    assert!(panicked.is_err());
    assert_eq!(*shards.lock(3), 7);
    assert_eq!(*shards.lock(3 + SHARDS), 7, "indices wrap");
    assert_eq!(*shards.lock(4), 0);
}

#[test]
fn ids_are_spread_as_planned_random_or_not() {
    let hash = IdHash::new(&HashKeys::new());
    let mut shards: HashMap<&str, [u32; SHARDS]> = HashMap::new();
    for number in 1..=64_000_u128 {
        for (kind, id) in [
            ("random", SessionId::random(&OsRandom).unwrap()),
            ("low", SessionId::from_bytes(number.to_be_bytes()).unwrap()),
            ("high", SessionId::from_bytes(number.to_le_bytes()).unwrap()),
        ] {
            shards.entry(kind).or_insert([0; SHARDS])[hash.place(&id).shard] += 1;
        }
    }
    for (kind, counts) in shards {
        if kind == "random" {
            // From 667 in the first shard to 1333 in the last; eight standard deviations are allowed.
            for (shard, count) in (0_u32..).zip(counts) {
                let expected = 667 + 667 * shard / 63;
                assert!(count.abs_diff(expected) < 290, "shard {shard}: {counts:?}");
            }
        }
        assert!(counts.iter().all(|count| *count < 6_000), "{kind}: {counts:?}");
    }
}

#[test]
fn every_number_has_its_shard_and_the_last_is_twice_as_large_as_the_first() {
    let mut sizes = [0_u32; SHARDS];
    for number in 0..=u16::MAX {
        sizes[shard_for(number)] += 1;
    }
    assert!(sizes.is_sorted(), "{sizes:?}");
    let (first, last) = (sizes[0], sizes[SHARDS - 1]);
    assert!((19 * first..21 * first).contains(&(10 * last)), "{sizes:?}");
}

#[test]
fn another_store_places_ids_elsewhere() {
    let (one, other) = (IdHash::new(&HashKeys::new()), IdHash::new(&HashKeys::new()));
    let moved = (0..1_000)
        .map(|_| SessionId::random(&OsRandom).unwrap())
        .filter(|id| one.place(id).shard != other.place(id).shard)
        .count();
    assert!(moved > 900);
}

#[test]
fn six_bytes_compare_as_numbers() {
    let numbers = [0, 1, 255, 256, 65_536, 253_402_300_799_999, (1 << 48) - 1];
    assert!(numbers.map(U48::new).is_sorted());
    assert_eq!(size_of::<U48>(), 6);
}
