//! As much of the Redis protocol as it takes to ask a server who and how it is.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// The longest bulk reply that is read, in bytes; more means that this is no Redis server.
const LONGEST: usize = 16 * 1024 * 1024;

/// A blocking connection.
pub(super) struct Connection(BufReader<TcpStream>);

/// A reply. Arrays are flattened to one line per element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Error(String),
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Sends one command and reads its reply.
    pub(super) fn call(&mut self, words: &[&str]) -> io::Result<Reply> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a string cannot fail.
            let _ = write!(request, "${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut pending = 1_usize;
        let mut lines = Vec::new();
        while pending > 0 {
            pending -= 1;
            let head = self.line()?;
            let (marker, rest) = head.split_at_checked(1).ok_or_else(garbled)?;
            match marker {
                "-" if lines.is_empty() && pending == 0 => {
                    return Ok(Reply::Error(rest.to_owned()));
                }
                "+" | ":" | "-" => lines.push(rest.to_owned()),
                "$" if rest == "-1" => lines.push(String::new()),
                "$" => lines.push(self.bulk(length(rest)?)?),
                "*" if rest == "-1" => {}
                "*" => pending += length(rest)?,
                _ => return Err(garbled()),
            }
        }
        Ok(Reply::Text(lines.join("\n")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.by_ref().take(64 * 1024).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn bulk(&mut self, length: usize) -> io::Result<String> {
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn length(text: &str) -> io::Result<usize> {
    text.parse().ok().filter(|length| *length <= LONGEST).ok_or_else(garbled)
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not the Redis protocol")
}
