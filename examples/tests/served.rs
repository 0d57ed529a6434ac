//! A server of the HTTP suite's application, in a process of its own: `served FRAMEWORK STORE NAMESPACE`. Says where it
//! listens, and ends when its input does.

#[path = "../../session-actix/tests/fixture/mod.rs"]
mod actix;
#[path = "../../session-tower/tests/fixture/mod.rs"]
mod tower;

use std::io::Read as _;

use conformance_tests::http::{App, HttpFixture as _};
use session_core::{BoxError, Sessions};
use session_http::{Site, Sites};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [framework, store, namespace] = &arguments[..] else {
        return Err("served FRAMEWORK STORE NAMESPACE".into());
    };
    let backend =
        examples::backend::open(store, namespace, "cargo test -p examples --features …").await;
    let backend = backend.map_err(|error| error.to_string())?;
    let sites = Sites::from(Site::from(Sessions::builder(backend.store).build()?));
    let served = match framework.as_str() {
        "tower" => tower::Tower.serve(sites, App::default()).await?,
        "actix" => actix::Actix.serve(sites, App::default()).await?,
        other => return Err(format!("no framework {other}").into()),
    };
    println!("{}", served.addr());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
