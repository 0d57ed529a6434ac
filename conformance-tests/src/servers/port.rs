//! Free ports on the loopback interface.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that Linux, macOS and Windows give to outgoing connections. A client that keeps
/// dialling a stopped server would sooner or later be given the server's own port as its source, talk
/// to itself, and keep the server from coming back.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
const ATTEMPTS: u32 = 200;

/// A number that differs from call to call and from process to process.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A port that nobody listened on a moment ago. Another process may take it before its use, so the
/// caller tries again when the server finds it taken.
pub(crate) fn free() -> io::Result<u16> {
    let count = u64::from(COUNT);
    for _ in 0..ATTEMPTS {
        let offset = u16::try_from(random() % count).expect("a remainder of a u16 fits a u16");
        let port = FIRST + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port was found"))
}
