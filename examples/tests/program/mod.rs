//! A server as a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that runs until this is dropped. It may end when its input does, so that it never outlives a test.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// The first line that it printed: where it listens.
    pub(crate) line: String,
}

impl Program {
    pub(crate) fn start<S: AsRef<OsStr>>(path: &Path, arguments: &[S]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is built");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line that says where it is");
        Self { child, line: line.trim().to_owned() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, and then the test has failed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
