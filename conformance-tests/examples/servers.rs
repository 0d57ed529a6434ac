//! Real servers to try things on. `cargo xtask servers up` runs this in the background.
//!
//! `servers FILE KIND...` starts one server of each kind, as tests would get it, and writes to FILE where they are
//! reached: a line of JSON for each. They run until FILE is removed or this process ends.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

use conformance_tests::Result;
use conformance_tests::servers::{DynamoEndpoint, MongoEndpoint, PostgresEndpoint, RedisEndpoint};
use serde_json::json;

/// How soon the removal of the file is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let file = PathBuf::from(arguments.next().ok_or("usage: servers FILE KIND...")?);
    let mut lines = String::new();
    for kind in arguments {
        lines += &start(&kind.to_string_lossy())?;
        lines.push('\n');
    }
    write_at_once(&file, &lines)?;
    while file.try_exists()? {
        thread::sleep(LOOK_EVERY);
    }
    // The servers end with this process.
    Ok(())
}

/// Starts a server, and answers the line that tells of it.
fn start(kind: &str) -> Result<String> {
    let (url, variable, what, endpoint) = match kind {
        "redis" => {
            let server = RedisEndpoint::shared()?;
            (server.url(), "SESSION_TEST_REDIS_URL", server.to_string(), server.endpoint()?)
        }
        "postgres" => {
            let server = PostgresEndpoint::shared()?;
            (server.url(), "SESSION_TEST_POSTGRES_URL", server.to_string(), server.endpoint()?)
        }
        "mongo" => {
            let server = MongoEndpoint::shared()?;
            (server.url(), "SESSION_TEST_MONGO_URL", server.to_string(), server.endpoint()?)
        }
        "dynamo" => {
            let server = DynamoEndpoint::shared()?;
            (server.url(), "SESSION_TEST_DYNAMO_URL", server.to_string(), server.endpoint()?)
        }
        unknown => return Err(format!("no such server: {unknown}").into()),
    };
    let address = endpoint.address();
    let line =
        json!({ "kind": kind, "url": url, "variable": variable, "what": what, "address": address });
    Ok(line.to_string())
}

/// Nobody sees half a file.
fn write_at_once(file: &Path, text: &str) -> std::io::Result<()> {
    let draft = file.with_extension("draft");
    fs::write(&draft, text)?;
    fs::rename(draft, file)
}
