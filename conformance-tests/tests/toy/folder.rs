//! A folder with one file for each session, named by the session's id, and its lock.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use session_core::{Record, SessionId, StoreError, StoreErrorKind};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::stored;

/// How long a call waits for the lock. It is the only thing that a call waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of which anybody may read the files, but none may be written.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, which is made if there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&path).map_err(|error| failed("make the folder", error))?;
        Ok(Self { path })
    }

    /// The record `id`, live or not.
    pub(crate) fn read(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        match fs::read(self.file(id)) {
            Ok(bytes) => stored::decode(id, &bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read a session", error)),
        }
    }

    /// The same for whoever looks at many: a corrupt record is none.
    pub(crate) fn readable(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        match self.read(id) {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(None),
            outcome => outcome,
        }
    }

    /// Waits until no other handle, here or in another process, has the lock.
    ///
    /// The lock is a file that only one can create. A process that is killed in the middle of an operation
    /// leaves it behind, and somebody has to delete it.
    pub(crate) async fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let path = self.path.join("lock");
        let taken = timeout(PATIENCE, async {
            loop {
                match File::create_new(&path) {
                    Ok(_) => return Ok(Locked { folder: self }),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => yield_now().await,
                    Err(error) => return Err(failed("take the lock", error)),
                }
            }
        });
        let waited_in_vain = |_| StoreError::new(StoreErrorKind::Timeout, "wait for the lock");
        taken.await.map_err(waited_in_vain)?
    }

    fn file(&self, id: &SessionId) -> PathBuf {
        self.path.join(id.to_string())
    }
}

/// The folder, as long as nobody else writes to it. Ends the lock when it is dropped.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    folder: &'a Folder,
}

impl Locked<'_> {
    /// All ids in order. Under the lock, because a folder that is read while files are replaced in it may
    /// leave some out.
    pub(crate) fn ids(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = ids_in(&self.path).map_err(|error| failed("list the sessions", error))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether there is anything under this id, readable or not.
    pub(crate) fn exists(&self, id: &SessionId) -> Result<bool, StoreError> {
        self.file(id).try_exists().map_err(|error| failed("look for a session", error))
    }

    /// Writes the whole record. Readers see what was there before or all that is new, since the file gets
    /// its name when it is complete.
    pub(crate) fn write(&self, record: &Record) -> Result<(), StoreError> {
        let new = self.path.join("new");
        fs::write(&new, stored::encode(record))
            .and_then(|()| fs::rename(&new, self.file(record.id())))
            .map_err(|error| failed("write a session", error))
    }

    /// Removes whatever is under this id, if anything is.
    pub(crate) fn remove(&self, id: &SessionId) -> Result<(), StoreError> {
        match fs::remove_file(self.file(id)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove a session", error))
            }
            _ => Ok(()),
        }
    }
}

impl Deref for Locked<'_> {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        self.folder
    }
}

impl Drop for Locked<'_> {
    /// A lock that cannot be removed is the same as one left behind: later calls say that they waited in vain.
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join("lock"));
    }
}

/// The names of files that are ids. Others, as that of the lock, are left alone.
fn ids_in(folder: &Path) -> io::Result<Vec<SessionId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        ids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<SessionId>().ok()));
    }
    Ok(ids)
}

/// What the operating system could not do had no effect: the last step of every operation is a single one.
fn failed(what: &'static str, error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, what).with_source(error)
}
