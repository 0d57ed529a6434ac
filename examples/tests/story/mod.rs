//! What a browser sees of the small application, whatever it is built on.

#[path = "../program/mod.rs"]
mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use program::Program;

/// An application, running.
struct App {
    address: String,
    /// What a browser would keep.
    cookie: String,
    _program: Program,
}

impl App {
    fn start(path: &Path) -> Self {
        let program = Program::start(path, &["127.0.0.1:0"]);
        let address = program.line.strip_prefix("http://").expect("an address").to_owned();
        Self { address, cookie: String::new(), _program: program }
    }

    /// The status line's code and the body. By HTTP/1.0, whose bodies end with the connection.
    fn ask(&mut self, method: &str, path: &str, form: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            self.cookie,
            form.len()
        )
        .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        for line in head.lines() {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            if name.eq_ignore_ascii_case("set-cookie") {
                value.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }
}

/// Visits, signs in and out, and compares what is answered.
pub(crate) fn is_told_by(program: &Path) {
    let mut app = App::start(program);
    assert_eq!(app.ask("GET", "/", ""), (200, "visit 1 of a visitor\n".to_owned()));
    assert!(app.cookie.starts_with("session="), "{}", app.cookie);
    assert_eq!(app.ask("GET", "/", ""), (200, "visit 2 of a visitor\n".to_owned()));
    assert_eq!(app.ask("GET", "/account", "").0, 401);

    let before = app.cookie.clone();
    assert_eq!(app.ask("POST", "/sign-in", "name=alice").0, 303);
    assert_ne!(app.cookie, before, "a login changes the token");
    assert_eq!(app.ask("GET", "/", ""), (200, "visit 3 of alice\n".to_owned()));
    assert_eq!(app.ask("GET", "/account", ""), (200, "the account of alice\n".to_owned()));

    let signed_in = app.cookie.clone();
    assert_eq!(app.ask("POST", "/sign-out", "").0, 303);
    assert_eq!(app.cookie, "session=", "a logout removes the cookie");
    for old in [before, signed_in] {
        app.cookie = old;
        assert_eq!(app.ask("GET", "/account", "").0, 401, "a token of before opens nothing");
    }
}
