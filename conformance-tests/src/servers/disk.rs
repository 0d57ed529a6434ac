//! A disk that can be filled: a small file system in memory over one folder, which only the server sees.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::user::User;

/// Where it is mounted, in the server's folder.
pub(super) const FOLDER: &str = "disk";

/// Runs the command in a name space of its own, where the first argument is a file system of the size that is the
/// second, with what is in the third copied to it. The process stays the same throughout. Root, who may mount, then
/// becomes the user that is the fourth argument. Who is not root asks the kernel for a user name space too, and stays who
/// they are in it.
const MOUNT: &str = r#"
[ "$(id -u)" = 0 ] && as= || as='--map-current-user --keep-caps'
exec unshare $as -m sh -c '
    mount -t tmpfs -o "size=$2,mode=0700" tmpfs "$1" || exit
    [ -z "$3" ] || cp -a "$3/." "$1" || exit
    user=$4
    shift 4
    [ -z "$user" ] || exec setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups "$@"
    exec "$@"
' disk "$@"
"#;

/// Said where a server with a disk does not start.
pub(super) const HELP: &str = "The disk is mounted in a name space of the server's own: run the test as root, or allow \
     users name spaces (`sysctl kernel.unprivileged_userns_clone=1`). In a container it takes the capability SYS_ADMIN.";

const FILLER: &str = "filler";

/// The command of the server in `home`, with a disk of so many bytes, on which is at first what is in `contents`. What
/// is on it is gone when the server ends.
pub(super) fn with_disk(
    command: &Command,
    home: &Path,
    bytes: u64,
    contents: Option<&Path>,
    user: Option<&User>,
) -> io::Result<Command> {
    if !cfg!(target_os = "linux") {
        let text = "a disk of a server's own needs Linux";
        return Err(io::Error::new(ErrorKind::Unsupported, text));
    }
    let folder = home.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let mut mounted = Command::new("sh");
    mounted.args(["-c", MOUNT, "disk"]).arg(folder).arg(bytes.to_string());
    mounted.arg(contents.unwrap_or(Path::new("")));
    mounted.arg(user.map(User::to_string).unwrap_or_default());
    mounted.arg(command.get_program()).args(command.get_args());
    Ok(mounted)
}

/// Leaves no room on the disk of a running server.
pub(super) fn fill(pid: u32, home: &Path) -> io::Result<()> {
    let zeros = [0; 4096];
    let mut filler = File::create(seen_by(pid, home).join(FILLER))?;
    loop {
        match filler.write(&zeros) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Gives the room back.
pub(super) fn empty(pid: u32, home: &Path) -> io::Result<()> {
    fs::remove_file(seen_by(pid, home).join(FILLER))
}

/// The disk of the server in `home`, as the process sees it.
pub(super) fn seen_by(pid: u32, home: &Path) -> PathBuf {
    let folder = home.join(FOLDER);
    let inside = folder.strip_prefix("/").unwrap_or(&folder);
    PathBuf::from(format!("/proc/{pid}/root")).join(inside)
}
