//! Small programs that show the session store at work. Run `cargo run --example tour`.
