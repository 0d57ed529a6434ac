//! Stands between a store and its backend.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{JoinHandle, JoinSet};

use super::fault::{Control, Fault, Span};
use super::link;

/// The most connections that are carried at a time; one more is closed at once.
const MOST_LINKS: usize = 256;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;

/// The pause after a connection could not be accepted, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(10);

/// A TCP proxy in this process, on loopback only, that disturbs what it carries as it is told.
///
/// One for each handle under test. It ends, with all its connections, when it is dropped, and runs as tasks of
/// the tokio runtime on which it is used.
pub struct Proxy {
    control: Arc<Control>,
    doors: AsyncMutex<Vec<Door>>,
    passwords: Mutex<Vec<String>>,
}

/// Where the proxy listens for one server.
struct Door {
    upstream: String,
    address: SocketAddr,
    state: DoorState,
}

enum DoorState {
    Open(Listening),
    /// The port is kept, and nobody listens: who connects is refused.
    Shut(TcpSocket),
    /// The port was lost on the way; the text of the error has been told.
    Lost,
}

/// Ends the task, and with it all its connections.
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Proxy {
    /// A proxy that leads nowhere yet and disturbs nothing.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            control: Arc::new(Control::new()),
            doors: AsyncMutex::default(),
            passwords: Mutex::default(),
        })
    }

    /// The address to connect to in order to reach the server at `upstream`, which is `host:port`, through here.
    /// The same server has the same address each time.
    ///
    /// # Errors
    ///
    /// When nobody can listen on loopback.
    pub async fn route(&self, upstream: &str) -> io::Result<String> {
        let mut doors = self.doors.lock().await;
        if let Some(door) = doors.iter().find(|door| door.upstream == upstream) {
            return Ok(door.address.to_string());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let upstream = upstream.to_owned();
        let state = DoorState::Open(self.listen(listener, upstream.clone()));
        doors.push(Door { upstream, address, state });
        Ok(address.to_string())
    }

    /// Remembers the password of a server behind.
    pub(crate) fn know_password(&self, password: &str) {
        self.passwords().push(password.to_owned());
    }

    /// Whether anybody has asked for a way through here.
    pub(crate) async fn is_used(&self) -> bool {
        !self.doors.lock().await.is_empty()
    }

    /// The passwords of the servers behind.
    pub(crate) fn known_passwords(&self) -> Vec<String> {
        self.passwords().clone()
    }

    /// Lets `fault` strike the round trip `trip` from now, the next one being 1. Takes the place of a fault before.
    ///
    /// # Errors
    ///
    /// When the port of a server that shall be refused is lost on the way.
    pub async fn strike(&self, fault: Fault, trip: u64, span: Span) -> io::Result<()> {
        self.control.arm(fault, trip, span);
        if fault == Fault::Refuse {
            for door in &mut *self.doors.lock().await {
                door.shut().await?;
            }
        }
        Ok(())
    }

    /// Loses the reply to the next round trip, and holds the first one that begins afterwards.
    pub(crate) fn lose_reply_then_hold(&self) {
        self.control.lose_reply_then_hold();
    }

    /// Everything is in order again. What was held goes on its way; a connection on which bytes were kept for
    /// good stays as it is, as after a broken path.
    ///
    /// # Errors
    ///
    /// When nobody can listen any more.
    pub async fn heal(&self) -> io::Result<()> {
        self.control.disarm();
        for door in &mut *self.doors.lock().await {
            if let DoorState::Shut(_) = door.state {
                let DoorState::Shut(socket) = std::mem::replace(&mut door.state, DoorState::Lost)
                else {
                    continue;
                };
                let listener = socket.listen(BACKLOG)?;
                door.state = DoorState::Open(self.listen(listener, door.upstream.clone()));
            }
        }
        Ok(())
    }

    /// Connections that were made since the proxy was.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.control.connections()
    }

    /// Round trips that have begun since the proxy was made.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.control.trips()
    }

    /// Round trips that the last fault has struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.control.struck()
    }

    /// Waits until something is held.
    pub async fn held(&self) {
        self.control.held().await;
    }

    /// Counts the bursts of clients that contain `needle` from now on.
    pub fn look_for(&self, needle: &[u8]) {
        self.control.look_for(needle);
    }

    /// How many there were.
    #[must_use]
    pub fn sightings(&self) -> u64 {
        self.control.sightings()
    }

    fn listen(&self, listener: TcpListener, upstream: String) -> Listening {
        Listening(tokio::spawn(accept(listener, upstream, Arc::clone(&self.control))))
    }

    fn passwords(&self) -> MutexGuard<'_, Vec<String>> {
        self.passwords.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Closes every connection and refuses new ones.
    async fn shut(&mut self) -> io::Result<()> {
        if let DoorState::Open(listening) = &mut self.state {
            listening.0.abort();
            // Its end is a cancellation, which is what was asked for.
            let _ = (&mut listening.0).await;
            self.state = DoorState::Lost;
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(self.address)?;
            self.state = DoorState::Shut(socket);
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, upstream: String, control: Arc<Control>) {
    let mut links = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while links.try_join_next().is_some() {}
        match accepted {
            Ok((client, _)) if links.len() < MOST_LINKS => {
                let (upstream, control) = (upstream.clone(), Arc::clone(&control));
                // An error is how a connection ends, and nothing to report.
                links.spawn(async move { link::carry(client, &upstream, &control).await.is_ok() });
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("control", &self.control).finish_non_exhaustive()
    }
}
