//! A disk that can be filled: a small file system in memory over one folder, which only the server sees.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the command in a name space of its own, where the first argument is a file system of the size that is the
/// second. The process stays the same throughout. Who is not root asks the kernel for a user name space too.
const MOUNT: &str = r#"
[ "$(id -u)" = 0 ] && as= || as=-Ur
exec unshare $as -m sh -c '
    mount -t tmpfs -o "size=$2,mode=0700" tmpfs "$1" || exit
    shift 2
    exec "$@"
' disk "$@"
"#;

const FILLER: &str = "filler";

/// The command, with a disk of so many bytes over `folder`. Its content is gone when the server ends.
pub(super) fn with_disk(command: &Command, folder: &Path, bytes: u64) -> io::Result<Command> {
    if !cfg!(target_os = "linux") {
        let text = "a disk of a server's own needs Linux";
        return Err(io::Error::new(ErrorKind::Unsupported, text));
    }
    fs::create_dir_all(folder)?;
    let mut mounted = Command::new("sh");
    mounted.args(["-c", MOUNT, "disk"]).arg(folder).arg(bytes.to_string());
    mounted.arg(command.get_program()).args(command.get_args());
    Ok(mounted)
}

/// Leaves no room on the disk of a running server.
pub(super) fn fill(pid: u32, folder: &Path) -> io::Result<()> {
    let zeros = [0; 4096];
    let mut filler = File::create(seen_by(pid, folder).join(FILLER))?;
    loop {
        match filler.write(&zeros) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Gives the room back.
pub(super) fn empty(pid: u32, folder: &Path) -> io::Result<()> {
    fs::remove_file(seen_by(pid, folder).join(FILLER))
}

/// The folder as the process sees it.
fn seen_by(pid: u32, folder: &Path) -> PathBuf {
    let inside = folder.strip_prefix("/").unwrap_or(folder);
    PathBuf::from(format!("/proc/{pid}/root")).join(inside)
}
