//! Writes what a run has found, one file for each rule, and one for the whole run at its end.
//!
//! Every rule may be a process of its own, and nobody knows which is the last. So each one looks, after it has
//! written its own file, whether those of all rules are there: the last one sees them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, io, process};

use session_core::CONTRACT_VERSION;

use super::driver;
use super::error::ReportError;
use super::model::{Adapter, Backend, Report, RuleReport, SCHEMA};
use crate::endpoint::{Endpoint, Provision};
use crate::profile::Profile;
use crate::rng::entropy;
use crate::run::Settings;

/// The folder of reports, and the run that writes to it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    run: String,
}

impl Folder {
    #[cfg(test)]
    pub(super) fn new(path: &Path, run: &str) -> Self {
        Self { path: path.to_owned(), run: run.to_owned() }
    }

    /// The folder that `CONFORMANCE_REPORT` names; `None` when nothing is to be written. The processes of
    /// one run of `cargo nextest` are one run.
    pub(crate) fn from_env() -> Option<Self> {
        let path = env::var_os("CONFORMANCE_REPORT").filter(|path| !path.is_empty())?;
        let run = env::var("NEXTEST_RUN_ID").ok().filter(|run| !run.is_empty());
        let run = run.unwrap_or_else(|| format!("{:016x}", entropy()));
        Some(Self { path: path.into(), run })
    }

    /// A run of these rules against this backend begins. From now on the report of an earlier one says nothing.
    pub(crate) fn begin(
        &self,
        profile: &Profile,
        backend: &Endpoint,
        settings: Settings,
        rules: Vec<&'static str>,
    ) -> Result<Run, ReportError> {
        let head = head(&self.run, profile, backend, settings);
        let parts = self.of(profile).join(head.flavour());
        let whole = parts.with_extension("json");
        let run = Run { head, rules, parts, whole };
        if !run.has_written(&run.whole) {
            remove(&run.whole)?;
        }
        Ok(run)
    }

    /// The backend could not even be reached. No report of this adapter is left that could be taken for
    /// one of this run.
    pub(crate) fn discard(&self, profile: &Profile) -> Result<(), ReportError> {
        let folder = self.of(profile);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn of(&self, profile: &Profile) -> PathBuf {
        self.path.join(plain(profile.name()))
    }
}

/// A run against one backend, or a part of it in this process.
#[derive(Debug)]
pub(crate) struct Run {
    head: Report,
    /// The numbers of all rules, in their order.
    rules: Vec<&'static str>,
    /// The folder with a file for each rule.
    parts: PathBuf,
    whole: PathBuf,
}

impl Run {
    /// Writes what one rule has found, and the whole report if it was the last one.
    pub(crate) fn add(&self, result: RuleReport) -> Result<(), ReportError> {
        let path = self.part(&result.rule);
        write(&path, &Report { rules: vec![result], ..self.head.clone() })?;
        match self.parts_of_all_rules() {
            None => Ok(()),
            Some(parts) => write(&self.whole, &Report::merge(parts)?),
        }
    }

    /// The file of the whole run, if it has been written.
    pub(crate) fn whole(&self) -> Option<&Path> {
        self.has_written(&self.whole).then_some(&self.whole)
    }

    fn part(&self, rule: &str) -> PathBuf {
        self.parts.join(rule).with_extension("json")
    }

    fn has_written(&self, path: &Path) -> bool {
        Report::read(path).is_ok_and(|report| report.run == self.head.run)
    }

    /// `None` while one is missing, or of another run. The last ones are the last to come.
    fn parts_of_all_rules(&self) -> Option<Vec<Report>> {
        let part =
            |id: &&str| Report::read(self.part(id)).ok().filter(|it| it.run == self.head.run);
        let parts: Option<Vec<_>> = self.rules.iter().rev().map(part).collect();
        parts.map(|mut parts| {
            parts.reverse();
            parts
        })
    }
}

fn head(run: &str, profile: &Profile, backend: &Endpoint, settings: Settings) -> Report {
    let (major, minor) = CONTRACT_VERSION;
    Report {
        schema: SCHEMA,
        run: run.to_owned(),
        contract: format!("{major}.{minor}"),
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        adapter: Adapter {
            name: profile.name().to_owned(),
            version: profile.adapter_version().map(str::to_owned),
            driver: profile.driver_name().map(driver::find),
        },
        backend: Backend {
            product: backend.product().map(str::to_owned),
            version: backend.version().map(str::to_owned),
            provision: match backend.provision() {
                Provision::Container { image } => {
                    Provision::Container { image: without_registry(image).to_owned() }
                }
                other => other.clone(),
            },
        },
        system: format!("{} {}", env::consts::OS, env::consts::ARCH),
        effort: settings.effort,
        rules: Vec::new(),
    }
}

/// The name of an adapter as that of a folder.
fn plain(name: &str) -> String {
    let plain =
        |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '-' };
    let name: String = name.chars().map(plain).collect();
    if name.trim_matches('.').is_empty() { "unnamed".to_owned() } else { name }
}

/// The name of an image without the host that it came from, which is nobody's business. It is a host if there
/// is a dot or a port in it.
fn without_registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => image,
    }
}

/// Writes the whole file or none of it: somebody may be reading.
fn write(path: &Path, report: &Report) -> Result<(), ReportError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);

    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let new = path.with_extension(format!("new-{}-{number}", process::id()));
    fs::write(&new, report.to_json()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn remove(path: &Path) -> Result<(), ReportError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ReportError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
