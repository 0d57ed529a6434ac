//! Running as somebody else: some servers refuse to be root.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

#[cfg(unix)]
impl User {
    /// The first of these users that exists, if we are root; whom `folder` belongs to tells. `None` if
    /// we are not root, or no user is asked for.
    pub(super) fn instead_of_root(folder: &Path, names: &[&str]) -> io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt;
        if names.is_empty() || folder.metadata()?.uid() != 0 {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd")?;
        let found = names.iter().find_map(|name| Self::named(name, &users));
        let none =
            || format!("it refuses to run as root, and there is no user {}", names.join(" or "));
        found.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, none()))
    }

    /// Gives a folder to this user.
    pub(super) fn own(self, folder: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
    }

    /// Lets the command run as this user, without further groups.
    pub(super) fn run(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        command.uid(self.uid).gid(self.gid);
    }

    /// Reads `name:password:uid:gid:…`.
    fn named(name: &str, users: &str) -> Option<Self> {
        let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        let mut number = || fields.next()?.parse().ok();
        Some(Self { uid: number()?, gid: number()? })
    }
}

/// As `uid:gid`.
impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Servers are started on Unix only.
#[cfg(not(unix))]
impl User {
    pub(super) fn instead_of_root(_folder: &Path, _names: &[&str]) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn own(self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn run(self, _command: &mut Command) {}
}
