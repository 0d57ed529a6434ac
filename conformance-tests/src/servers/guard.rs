//! A small shell beside us that clears something away when we are gone, however we end.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};

/// Waits for the end of the pipe; what follows is the guard's own work. A guard that is told that nothing
/// is left to do does nothing.
const WAIT: &str = r#"
while read -r line; do [ "$line" = done ] && exit 0; done
"#;

/// A shell that holds the reading end of a pipe of ours. When the pipe closes, by a drop or by the end of our
/// process, it does its work.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts a guard whose work is `script`, with these arguments.
    pub(super) fn start<S: AsRef<OsStr>>(script: &str, arguments: &[S]) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{WAIT}{script}")).arg("guard").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        super::process::detach(&mut command).spawn().map(Self)
    }

    /// Ends the guard without its work, which somebody else has done.
    #[cfg(feature = "containers")]
    pub(super) fn dismiss(mut self) {
        use std::io::Write as _;
        if let Some(mut pipe) = self.0.stdin.take() {
            // A guard that is not told does its work in vain, which does no harm.
            let _ = pipe.write_all(b"done\n");
        }
    }
}

impl Drop for Guard {
    /// Lets the guard do its work, and waits for it.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A guard that cannot be waited for has done its work or never will; a drop has no answer.
        let _ = self.0.wait();
    }
}
