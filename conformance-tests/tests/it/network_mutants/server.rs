//! A small server: over the network go numbers and payloads, all else lies on a desk in this process.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use session_core::SessionId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The bytes of a reply: its number twice, so that half of it is not a whole one.
const REPLY_LEN: usize = 16;

type Done = Box<dyn Any + Send>;

/// Where clients lay their work, and find what came of it.
#[derive(Default)]
pub(super) struct Desk {
    next: AtomicU64,
    work: Mutex<HashMap<u64, BoxFuture<'static, Done>>>,
    done: Mutex<HashMap<u64, Done>>,
    /// The index of a store whose records and entries are apart.
    pub(super) entries: Mutex<HashSet<SessionId>>,
}

impl Desk {
    /// Lays work on the desk. Nothing is done before its number arrives at the server.
    pub(super) fn lay<T: Any + Send>(&self, work: impl Future<Output = T> + Send + 'static) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let work = Box::pin(async move { Box::new(work.await) as Done });
        self.work.lock().unwrap().insert(number, work);
        number
    }

    /// What came of the work with this number, if it is of this kind.
    pub(super) fn take<T: Any>(&self, number: u64) -> Option<T> {
        let done = self.done.lock().unwrap().remove(&number)?;
        done.downcast().ok().map(|done| *done)
    }
}

/// Serves until the runtime ends. Answers with the address.
pub(super) async fn serve(desk: Arc<Desk>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, Arc::clone(&desk)));
        }
    });
    Ok(address)
}

async fn talk(mut stream: TcpStream, desk: Arc<Desk>) -> io::Result<()> {
    loop {
        let number = stream.read_u64().await?;
        let mut payload = vec![0; usize::try_from(stream.read_u32().await?).unwrap()];
        stream.read_exact(&mut payload).await?;
        let work = desk.work.lock().unwrap().remove(&number);
        if let Some(work) = work {
            let done = work.await;
            desk.done.lock().unwrap().insert(number, done);
        }
        stream.write_all(&[number.to_be_bytes(), number.to_be_bytes()].concat()).await?;
    }
}

/// Sends a number with a payload, and answers with the number that comes back.
pub(super) async fn ask(stream: &mut TcpStream, number: u64, payload: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let request = [&number.to_be_bytes()[..], &length.to_be_bytes(), payload].concat();
    stream.write_all(&request).await?;
    let mut reply = [0; REPLY_LEN];
    stream.read_exact(&mut reply).await?;
    let (number, _) = reply.split_first_chunk().unwrap();
    Ok(u64::from_be_bytes(*number))
}
