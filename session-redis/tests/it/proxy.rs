//! A wire between store and server that counts, cuts and changes what goes through.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Default)]
struct State {
    /// Requests that came after a reply, or first on their connection.
    trips: AtomicU64,
    /// The next request is passed on, and instead of its reply the connection is closed.
    lose_next_reply: AtomicBool,
    /// The server passes for an older one.
    old_server: AtomicBool,
    /// Told to end, as a server ends an idle connection.
    close: Notify,
    /// Tells when the client has ended its side as well.
    closed: Notify,
    connections: AtomicU64,
    requests: Mutex<Vec<u8>>,
}

/// The wire. It ends with the runtime of its test.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) async fn to(url: &str) -> Self {
        let server = url.rsplit_once('/').unwrap().1.rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = Arc::clone(&proxy.state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                state.connections.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                tokio::spawn(wire(client, server, Arc::clone(&state)));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many round trips `call` takes, and what it answers.
    pub(crate) async fn trips<T>(&self, call: impl Future<Output = T>) -> (u64, T) {
        let before = self.state.trips.load(Ordering::SeqCst);
        let answer = call.await;
        (self.state.trips.load(Ordering::SeqCst) - before, answer)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn lose_next_reply(&self) {
        self.state.lose_next_reply.store(true, Ordering::SeqCst);
    }

    /// Ends the one connection that there is, and waits until the store has seen that.
    pub(crate) async fn close(&self) {
        self.state.close.notify_one();
        self.state.closed.notified().await;
    }

    /// From now on servers say that they are version 6.
    pub(crate) fn pretend_old_server(&self) {
        self.state.old_server.store(true, Ordering::SeqCst);
    }

    /// Whether a request held these bytes.
    pub(crate) fn saw(&self, bytes: &[u8]) -> bool {
        let requests = self.state.requests.lock().unwrap();
        requests.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Passes one request after the other, so that a trip begins with each request after a reply.
async fn wire(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let replied = Arc::new(AtomicBool::new(true));
    let cut = Arc::new(AtomicBool::new(false));
    tokio::select! {
        () = requests(&mut from_client, to_server, &state, &replied, &cut) => return,
        () = replies(from_server, &mut to_client, &state, &replied, &cut) => return,
        () = state.close.notified() => {}
    }
    to_client.shutdown().await.unwrap();
    assert_eq!(from_client.read(&mut [0]).await.unwrap(), 0, "nothing is sent any more");
    state.closed.notify_one();
}

async fn requests(
    from: &mut OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    replied: &AtomicBool,
    cut: &AtomicBool,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if replied.swap(false, Ordering::SeqCst) {
            state.trips.fetch_add(1, Ordering::SeqCst);
            cut.store(state.lose_next_reply.swap(false, Ordering::SeqCst), Ordering::SeqCst);
        }
        state.requests.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn replies(
    mut from: OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    state: &State,
    replied: &AtomicBool,
    cut: &AtomicBool,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if cut.load(Ordering::SeqCst) {
            return;
        }
        let reply = &mut buffer[..count];
        if state.old_server.load(Ordering::SeqCst) {
            make_old(reply);
        }
        replied.store(true, Ordering::SeqCst);
        if to.write_all(reply).await.is_err() {
            return;
        }
    }
}

/// Changes the major version in a reply to `HELLO` to 6.
fn make_old(reply: &mut [u8]) {
    let name = b"$7\r\nversion\r\n$";
    let Some(at) = reply.windows(name.len()).position(|window| window == name) else { return };
    let value = &mut reply[at + name.len()..];
    let line = value.iter().position(|byte| *byte == b'\n').unwrap();
    value[line + 1] = b'6';
}
