//! Carries the bytes of one connection.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::fault::{Control, Fault};

/// The most bytes that are on their way in one direction.
const CHUNK: usize = 16 * 1024;

/// The bytes of a burst in which the end of a piece may lie that began in the bytes before: the longest
/// spelling of 16 bytes is a list of numbers.
const TAIL: usize = 128;

/// The pause between two bytes of a trickle.
const PAUSE: Duration = Duration::from_millis(50);

/// Carries bytes between the client and `upstream` until either closes, or a fault closes both.
pub(super) async fn carry(client: TcpStream, upstream: &str, control: &Control) -> io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    control.connected();
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = Link { control, trip: Mutex::default() };
    let requests = pin!(link.requests(from_client, to_server));
    let replies = pin!(link.replies(from_server, to_client));
    select(requests, replies).await.factor_first().0
}

struct Link<'a> {
    control: &'a Control,
    trip: Mutex<Trip>,
}

/// The round trip that is under way on a connection.
#[derive(Default)]
struct Trip {
    /// The bytes before came from the client.
    asking: bool,
    fault: Option<Fault>,
    /// What is looked for has been seen in it.
    sighted: bool,
    tail: Vec<u8>,
}

impl Link<'_> {
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            let bytes = &buffer[..count];
            match self.asked(bytes) {
                Some(Fault::LoseRequest) => return Ok(()),
                Some(Fault::CutRequest) => return to.write_all(&bytes[..count / 2]).await,
                Some(Fault::Delay(time)) => {
                    tokio::time::sleep(time).await;
                    // What follows in the same burst is not late once more.
                    self.lock().fault = None;
                }
                Some(Fault::Hang) => pending().await,
                Some(Fault::HoldRequest) => self.released().await,
                _ => {}
            }
            to.write_all(bytes).await?;
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            let bytes = &buffer[..count];
            match self.answered() {
                Some(Fault::LoseReply) => {
                    self.control.lost();
                    return Ok(());
                }
                Some(Fault::CutReply) => return to.write_all(&bytes[..count / 2]).await,
                Some(Fault::Silence) => pending().await,
                Some(Fault::Trickle) => {
                    self.trickle(bytes, &mut to).await?;
                    continue;
                }
                Some(Fault::HoldReply) => self.released().await,
                _ => {}
            }
            to.write_all(bytes).await?;
        }
    }

    /// Waits until what is held may go on, and what belongs to it with it.
    async fn released(&self) {
        self.control.released().await;
        self.lock().fault = None;
    }

    /// Byte by byte while the fault is there, the rest at once.
    async fn trickle(&self, bytes: &[u8], to: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut rest = bytes;
        while let [first, others @ ..] = rest
            && self.control.is_armed()
        {
            to.write_all(&[*first]).await?;
            rest = others;
            tokio::time::sleep(PAUSE).await;
        }
        to.write_all(rest).await
    }

    /// The client has sent these bytes. Answers with what shall happen to them.
    fn asked(&self, bytes: &[u8]) -> Option<Fault> {
        let mut trip = self.lock();
        if !trip.asking {
            let fault = self.control.begin_trip();
            *trip = Trip { asking: true, fault, ..Trip::default() };
        }
        if !trip.sighted {
            trip.tail.extend_from_slice(bytes);
            if self.control.contains_needle(&trip.tail) {
                trip.sighted = true;
                self.control.sighted();
            }
            let excess = trip.tail.len().saturating_sub(TAIL);
            trip.tail.drain(..excess);
        }
        trip.fault
    }

    /// The server has answered. Answers with what shall happen to its bytes.
    fn answered(&self) -> Option<Fault> {
        let mut trip = self.lock();
        trip.asking = false;
        trip.fault
    }

    fn lock(&self) -> MutexGuard<'_, Trip> {
        self.trip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
