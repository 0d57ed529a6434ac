//! How much memory this process takes.

use std::fmt;

/// What may be taken more than before: room for the allocator's own ways, and for nothing that grows with time.
const ROOM: u64 = 32 << 20;

/// The most resident bytes before an outage, in it, and after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) before: u64,
    pub(crate) during: u64,
    pub(crate) after: u64,
}

impl Memory {
    pub(crate) fn is_flat(self) -> Result<(), String> {
        match self.during.max(self.after) {
            most if most > self.before + ROOM => Err(format!("memory grew: {self}")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        let (before, during, after) = (mib(self.before), mib(self.during), mib(self.after));
        write!(f, "{before} MiB before, {during} MiB during, {after} MiB after")
    }
}

/// Resident bytes. Only Linux tells.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_in_or_after_an_outage_is_told() {
        let flat = Memory { before: 100 << 20, during: 132 << 20, after: 90 << 20 };
        flat.is_flat().unwrap();
        assert!(Memory { during: flat.during + 1, ..flat }.is_flat().is_err());
        let told = Memory { after: 133 << 20, ..flat }.is_flat().unwrap_err();
        assert_eq!(told, "memory grew: 100 MiB before, 132 MiB during, 133 MiB after");
    }
}
