//! Where a server lives: its program, its folder, its ports, and the user that it runs as.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::folder::Folder;
use super::port;
use super::product::Product;
use super::user::User;

/// All about a server that outlives a restart and is not its own kind's.
pub struct Site {
    program: PathBuf,
    ports: Vec<u16>,
    user: Option<User>,
    folder: Folder,
}

impl Site {
    /// A new folder, which belongs to the user that the server will run as.
    pub(super) fn create<P: Product>(program: PathBuf) -> io::Result<Self> {
        let folder = Folder::create(&P::KIND.name.to_lowercase())?;
        let user = User::instead_of_root(folder.path(), P::UNPRIVILEGED)?;
        if let Some(user) = &user {
            user.own(folder.path())?;
        }
        Ok(Self { program, ports: Vec::new(), user, folder })
    }

    pub(super) fn choose_ports(&mut self, count: usize) -> io::Result<()> {
        self.ports = (0..count).map(|_| port::free()).collect::<io::Result<_>>()?;
        Ok(())
    }

    /// What [`Product::locate`] found.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// A folder that only the server's user can read; it goes with the server.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The chosen ports; none before [`Product::configure`].
    pub(super) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whom the server runs as, if not as we do.
    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Runs a program of the server's to its end, as the server's user and in its folder, and answers
    /// what it printed. For commands that prepare the folder.
    pub(super) fn run<I, S>(&self, program: &Path, arguments: I) -> io::Result<String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        if let Some(user) = &self.user {
            user.run(&mut command);
        }
        let shown = program.display();
        let output = command
            .output()
            .map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{shown} failed ({}): {}", output.status, said.trim())))
    }

    /// Gives a file that we wrote to the server's user, who alone may read it.
    pub(super) fn hand_over(&self, file: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => user.own(file),
            None => Ok(()),
        }
    }

    /// What the server has printed since its log was this long.
    pub(super) fn log_since(&self, start: usize) -> String {
        String::from_utf8_lossy(self.log().get(start..).unwrap_or_default()).into_owned()
    }

    pub(super) fn log_length(&self) -> usize {
        self.log().len()
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.folder().join("server.log")
    }

    /// Empty before the first start.
    fn log(&self) -> Vec<u8> {
        std::fs::read(self.log_file()).unwrap_or_default()
    }
}
