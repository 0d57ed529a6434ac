//! Numbers in six bytes.

use session_core::Timestamp;

/// A number below 2^48, kept as six bytes in big-endian order, so that it needs no padding beside an id and
/// compares as a number. Every [`Timestamp`] fits: the year 9999 ends before 2^48 milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct U48([u8; U48::LEN]);

impl U48 {
    pub(crate) const LEN: usize = 6;

    /// The lower 48 bits of `number`.
    pub(crate) const fn new(number: u64) -> Self {
        let [_, _, lower @ ..] = number.to_be_bytes();
        Self(lower)
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The time that this number of milliseconds stands for.
    pub(crate) fn timestamp(self) -> Timestamp {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0);
        Timestamp::from_millis(u64::from_be_bytes(bytes))
    }
}

impl From<Timestamp> for U48 {
    fn from(at: Timestamp) -> Self {
        Self::new(at.as_millis())
    }
}
