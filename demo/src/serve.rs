//! Serving until Ctrl-C, over plain http or TLS.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A client that does not finish its handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves until Ctrl-C, and then finishes what is in flight.
pub(crate) async fn plain(listener: TcpListener, app: Router) -> io::Result<()> {
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await
}

/// The same over TLS, with a certificate that is made for this run and signed by nobody else.
pub(crate) async fn tls(listener: TcpListener, app: Router) -> Result<(), Box<dyn Error>> {
    let made = generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key)?;
    let listener = TlsListener::new(listener, TlsAcceptor::from(Arc::new(config)));
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

async fn stopped() {
    // Without the signal it cannot be stopped this way, and serves on.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    println!("Finishing what is in flight …");
}

/// Connections whose handshake is done. A slow client keeps no other one waiting.
struct TlsListener {
    address: io::Result<SocketAddr>,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn new(mut listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let (sender, ready) = mpsc::channel(64);
        let address = listener.local_addr();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let (stream, peer) = Listener::accept(&mut listener).await;
                let (sender, acceptor) = (sender.clone(), acceptor.clone());
                tokio::spawn(async move {
                    // Who does not speak TLS, or does not trust the certificate, is gone.
                    if let Ok(Ok(stream)) =
                        tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await
                    {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { address, ready }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task has ended, which it does only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(io::Error::new(error.kind(), "the listener has no address")),
        }
    }
}
