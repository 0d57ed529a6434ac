//! A small web shop whose sessions people can try out in a browser: `cargo run -p demo`.

mod pages;
mod serve;
mod when;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use examples::backend;
use session_core::{Lifetimes, SessionStore, Sessions};
use session_http::{CookiePolicy, Site};
use tokio::net::TcpListener;

/// A small web shop, to try sessions out in a browser.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Options {
    /// Where sessions are kept: `memory`, or the URL of a server (needs the feature of its store)
    #[arg(long, default_value = "memory", value_name = "URL")]
    store: String,

    /// The address to listen on
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)), value_name = "ADDRESS")]
    listen: SocketAddr,

    /// Serve https with a certificate made for this run, and the cookie of production
    #[arg(long)]
    tls: bool,

    /// After how many seconds without use a session ends
    #[arg(long, default_value_t = 30 * 60, value_name = "SECONDS")]
    idle: u64,

    /// After how many seconds a session ends in any case
    #[arg(long, default_value_t = 12 * 60 * 60, value_name = "SECONDS")]
    absolute: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let lifetimes =
        Lifetimes::new(Duration::from_secs(options.idle), Duration::from_secs(options.absolute))?;
    let backend = backend::open(&options.store, "session_demo", "cargo run -p demo").await?;
    let sessions = Sessions::<dyn SessionStore>::builder(backend.store)
        .lifetimes(lifetimes)
        .anonymous_lifetimes(lifetimes)
        .build()?;
    tokio::spawn(purge_each_minute(sessions.clone()));
    // A browser drops `Secure` cookies that come over plain http.
    let policy =
        if options.tls { CookiePolicy::production() } else { CookiePolicy::insecure_development() };
    let site = Site::from(sessions).cookie(policy).login_page("/login".parse()?);

    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another one with --listen", options.listen)
    })?;
    let address = listener.local_addr()?;
    let scheme = if options.tls { "https" } else { "http" };
    println!("Open {scheme}://localhost:{} in a browser. Ctrl-C stops it.", address.port());

    let app = pages::app(site, backend.name);
    if options.tls {
        serve::tls(listener, app).await?;
    } else {
        serve::plain(listener, app).await?;
    }
    println!("Stopped.");
    Ok(())
}

/// Removes what is over, where the store does not do that by itself.
async fn purge_each_minute(sessions: Sessions<dyn SessionStore>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        match sessions.purge(NonZeroU32::MAX).await {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => eprintln!("demo: {}", chain(&error)),
        }
    }
}

/// The text of an error and of all its sources.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
