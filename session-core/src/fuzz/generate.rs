//! Random bytes and sessions from a seed.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use crate::payload::{Content, Flash};
use crate::{OsRandom, RandomSource};

/// A small generator (xorshift64*). The same seed gives the same sequence on every machine.
pub(crate) struct Generator(u64);

impl Generator {
    /// Seeded by `FUZZ_SEED`, or freshly. The seed is printed, so that a failure can be repeated.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("FUZZ_SEED").map_or_else(
            |_| {
                let mut bytes = [0; 8];
                OsRandom.fill(&mut bytes).unwrap();
                u64::from_le_bytes(bytes)
            },
            |text| text.parse().expect("FUZZ_SEED is a number"),
        );
        println!("repeat with FUZZ_SEED={seed}");
        Self(seed.max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 to `end`, without `end`; 0 when there is nothing to choose from.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let high = usize::try_from(self.next() >> 33).unwrap();
        high % end.max(1)
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn content(&mut self) -> Content {
        let mut data = BTreeMap::new();
        for _ in 0..self.below(6) {
            data.insert(self.key(), self.value(5));
        }
        let flash = (0..self.below(3))
            .map(|_| Flash { id: self.next(), key: self.key(), value: self.value(2) })
            .collect();
        Content { data, flash }
    }

    pub(crate) fn value(&mut self, depth: usize) -> Value {
        let kinds = if depth == 0 { 6 } else { 9 };
        match self.below(kinds) {
            0 => Value::Null,
            1 => Value::Bool(self.next() & 1 == 0),
            2 => Value::String(self.text()),
            3 => Value::Number(self.integer()),
            4 | 5 => Value::Number(self.float()),
            6 | 7 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let members = (0..self.below(4)).map(|_| (self.text(), self.value(depth - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    fn integer(&mut self) -> Number {
        let number = self.next() >> self.below(64);
        match self.below(4) {
            0 => number.into(),
            1 => number.cast_signed().into(),
            2 => number.cast_signed().wrapping_neg().into(),
            _ => (*self.pick(&[&0, &u64::MAX, &(1 << 53), &(1 << 63), &255, &65_536])).into(),
        }
    }

    fn float(&mut self) -> Number {
        let special = [0.0, -0.0, 5e-324, f64::MAX, f64::MIN, 0.1, 1e21, f64::EPSILON, 1.0];
        Number::from_f64(f64::from_bits(self.next()))
            .filter(|_| self.below(4) > 0)
            .unwrap_or_else(|| Number::from_f64(special[self.below(special.len())]).unwrap())
    }

    fn key(&mut self) -> String {
        let key = self.text();
        if key.is_empty() { "k".into() } else { key }
    }

    fn text(&mut self) -> String {
        let pieces = [
            "",
            "a",
            "user",
            "role",
            "\0",
            ".",
            "$",
            "$gt",
            "__proto__",
            "\"",
            "\\",
            "/",
            "\u{7f}",
            "\u{80}",
            "é",
            "\u{2028}",
            "\u{fffd}",
            "\u{1F600}",
            "\n",
            "\u{1b}",
            "data",
            "flash",
            "$serde_json::private::Number",
            "$serde_json::private::RawValue",
            "1.5",
            "-0",
        ];
        (0..self.below(3)).map(|_| self.pick(&pieces)).collect()
    }
}
