//! `cargo xtask servers images`: images of the test servers, built from packages, for machines that reach
//! no registry of images.
//!
//! An image is a folder in `xtask/images` and a row here. All stand on a base that is made from the machine's own
//! package sources, or from the same for a newer release. They carry names of our own, and a label that says what they are, so that no run takes
//! one for the maker's image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::command;
use crate::docker::{Docker, Start};
use crate::fetch::{self, Fetch};
use crate::tools;

/// One image: `session-tests/<name>`.
struct Image {
    name: &'static str,
    base: &'static Base,
    /// What no package has: the Dockerfile finds it in the folder `server`.
    server: Option<&'static Fetch>,
}

const IMAGES: &[Image] = &[
    Image { name: "redis", base: &BASE, server: None },
    Image { name: "postgres", base: &BASE, server: None },
    Image { name: "mongo", base: &BASE, server: Some(&fetch::MONGOD) },
    Image { name: "dynamodb-local", base: &BASE, server: Some(&fetch::DYNAMODB_LOCAL) },
    Image { name: "pgbouncer", base: &NEWER_BASE, server: None },
];

/// What stands in for a PostgreSQL server there.
pub(crate) const PGBOUNCER: &str = "session-tests/pgbouncer";

/// A small system: `session-tests/<name>`.
struct Base {
    name: &'static str,
    /// The release that it is of, given the one of this machine.
    release: fn(&str) -> &str,
}

const BASE: Base = Base { name: "base", release: |own| own };

/// For what the release of this machine has in too old a version.
const NEWER_BASE: Base =
    Base { name: "newer-base", release: |own| if own == "bookworm" { "trixie" } else { own } };

/// Carries the checksum of all that an image was built from; one that fits is not built again.
const RECIPE: &str = "session-tests.recipe";

/// Where Debian and Ubuntu keep the sources of their own packages.
const SOURCES: &[&str] = &[
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
    "/etc/apt/sources.list",
];

/// The name of the package cache of `apt`, in which nobody looks again: 70 MB.
const CACHES: [&str; 2] = ["./var/cache/apt/pkgcache.bin", "./var/cache/apt/srcpkgcache.bin"];

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) install: bool,
    /// Builds everything anew, with the packages of today.
    pub(crate) rebuild: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { install: true, rebuild: false };
        for argument in arguments {
            match *argument {
                "--no-install" => options.install = false,
                "--rebuild" => options.rebuild = true,
                unknown => return Err(format!("unknown option: {unknown}")),
            }
        }
        Ok(options)
    }
}

/// The command: with the daemon that answers.
pub(crate) fn run(options: Options) -> Result<(), String> {
    build(&Docker::provide(Start::Never, options.install)?, options)
}

/// Builds every image that is not there as it should be.
pub(crate) fn build(docker: &Docker, options: Options) -> Result<(), String> {
    for base in [&BASE, &NEWER_BASE] {
        timed(base.name, || base.build(docker, options))?;
    }
    for image in IMAGES {
        timed(image.name, || image.build(docker, options))?;
    }
    Ok(())
}

fn timed(name: &str, work: impl FnOnce() -> Result<&'static str, String>) -> Result<(), String> {
    let start = Instant::now();
    let outcome = work().map_err(|error| format!("session-tests/{name}: {error}"))?;
    println!("session-tests/{name}: {outcome} in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

impl Base {
    fn tag(&self) -> String {
        format!("session-tests/{}", self.name)
    }

    /// From the machine's own package sources.
    fn build(&self, docker: &Docker, options: Options) -> Result<&'static str, String> {
        if !options.rebuild && docker.run(&["image", "inspect", &self.tag()]).is_ok() {
            return Ok("is there");
        }
        let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let own = system.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let sources = SOURCES.iter().find_map(|file| {
            fs::read_to_string(file).ok().filter(|text| !text.is_empty()).map(|text| (file, text))
        });
        let (Some(own), Some((file, sources))) = (own, sources) else {
            return Err(
                "images are built on Debian and Ubuntu; elsewhere pull the makers' own".to_owned()
            );
        };
        tools::provide_program("mmdebstrap", "mmdebstrap", options.install)?;
        let release = (self.release)(own);
        let work = Work::create()?;
        let sources = sources.replace(own, release);
        let extension = Path::new(file).extension().unwrap_or_default();
        let file = work.0.join("system").with_extension(extension);
        fs::write(&file, sources).map_err(|error| told(&file, &error))?;
        let archive = work.0.join("base.tar");
        let mut strap = Command::new("mmdebstrap");
        strap.args(["--quiet", "--variant=minbase", "--include=ca-certificates"]);
        strap.args(["man", "doc"].map(|it| format!("--dpkgopt=path-exclude=/usr/share/{it}/*")));
        let no_caches = r#"printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'"#;
        strap.arg(format!(r#"--customize-hook={no_caches} >"$1/etc/apt/apt.conf.d/no-caches""#));
        strap.arg(release).arg(&archive).arg(file);
        command::run(strap, "mmdebstrap")?;
        let mut tar = Command::new("tar");
        tar.arg("--delete").arg("--file").arg(&archive).args(CACHES).stderr(Stdio::null());
        // They are not there with every version of apt, and that is as well.
        let _ = tar.status();
        docker.run(&["import", &archive.to_string_lossy(), &self.tag()])?;
        Ok("built")
    }
}

impl Image {
    fn build(&self, docker: &Docker, options: Options) -> Result<&'static str, String> {
        let tag = format!("session-tests/{}", self.name);
        let work = Work::create()?;
        copy(&command::root().join("xtask/images").join(self.name), &work.0)?;
        let recipe = self.recipe(docker, &work.0)?;
        let format = format!("{{{{index .Config.Labels {RECIPE:?}}}}}");
        let present = docker.run(&["image", "inspect", "--format", &format, &tag]);
        if !options.rebuild && present.is_ok_and(|present| present == recipe) {
            return Ok("is there");
        }
        if let Some(server) = self.server {
            server.provide()?;
            let program = server.find().ok_or("what was fetched is not there")?;
            let folder = Path::new(&program).parent().ok_or("it has no folder")?;
            copy(folder, &work.0.join("server"))?;
        }
        let mut build = docker.command();
        build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--force-rm"]);
        if options.rebuild {
            build.arg("--no-cache");
        }
        build.args(["--label", &format!("{RECIPE}={recipe}"), "--tag", &tag]).arg(&work.0);
        command::output(build, "docker build").map(|_| "built")
    }

    /// The checksum of the base and of all files that the image is built from.
    fn recipe(&self, docker: &Docker, folder: &Path) -> Result<String, String> {
        let mut parts =
            docker.run(&["image", "inspect", "--format", "{{.Id}}", &self.base.tag()])?;
        let mut files: Vec<PathBuf> = entries(folder)?;
        files.sort();
        for file in files {
            parts.push_str(&fs::read_to_string(&file).map_err(|error| told(&file, &error))?);
        }
        parts.push_str(self.server.map_or("", |server| server.title));
        fetch::sha256(parts.as_bytes()).map_err(|error| error.to_string())
    }
}

/// A folder for the files of one build.
struct Work(PathBuf);

impl Work {
    fn create() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("session-images-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| told(&folder, &error))?;
        Ok(Self(folder))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed is found by whoever looks into the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies all that is in a folder.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|error| told(to, &error))?;
    for entry in entries(from)? {
        let target = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() {
            copy(&entry, &target)?;
        } else {
            fs::copy(&entry, &target).map_err(|error| told(&entry, &error))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| told(folder, &error))?;
    entries.map(|entry| entry.map(|it| it.path()).map_err(|error| told(folder, &error))).collect()
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_a_folder_and_says_that_it_stands_in() {
        for image in IMAGES {
            let file = command::root().join("xtask/images").join(image.name).join("Dockerfile");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(&format!("FROM {}\n", image.base.tag())), "{}", image.name);
            assert!(text.contains("LABEL session-tests.stand-in="), "{}", image.name);
            assert_eq!(text.contains("COPY server"), image.server.is_some(), "{}", image.name);
        }
        let folders = entries(&command::root().join("xtask/images")).unwrap();
        assert_eq!(folders.len(), IMAGES.len());
    }

    #[test]
    fn options_are_understood_or_refused() {
        let all = Options::parse(&["--rebuild", "--no-install"]).unwrap();
        assert_eq!(all, Options { install: false, rebuild: true });
        assert!(Options::parse(&["--rebuld"]).unwrap_err().contains("--rebuld"));
    }
}
