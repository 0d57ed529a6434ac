//! A guided run through the life of sessions, step by step, with what the store does at each.
//!
//! ```console
//! $ cargo run --example tour
//! $ cargo run --example tour --features redis -- --store redis://127.0.0.1
//! ```
//!
//! The other backends likewise: `postgres`, `mongo` and `dynamo`.
//!
//! The clock of the run is its own: where the story needs a day to pass, the run moves it by a day.

mod narrator;
mod story;

use std::error::Error;
use std::process::ExitCode;

use examples::backend;

const USAGE: &str = "usage: tour [--store memory | --store URL], where URL is redis://, postgres://, mongodb:// or dynamodb://";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tour: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let store = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => "memory".to_owned(),
        (Some("--store"), Some(store), None) => store,
        (Some("--help" | "-h"), None, None) => {
            println!("{USAGE}");
            return Ok(());
        }
        _ => return Err(USAGE.into()),
    };
    let backend = backend::open(&store, "session_tour", "cargo run --example tour").await?;
    story::tell(backend).await
}
