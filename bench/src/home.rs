//! The server of a run: one of its own, or the one that was named on the command line.

use std::fs;
use std::path::Path;
use std::time::Duration;

use conformance_tests::servers::{
    DynamoServer, MongoServer, PostgresServer, RedisServer, ServerError,
};
use session_core::BoxError;

use crate::options::Settings;

/// Processor time is told in hundredths of a second, whatever the system.
const TICKS_PER_SECOND: u32 = 100;

/// A server that was started; it ends when it is dropped.
pub(crate) trait Started: Send + Sync {
    fn url(&self) -> String;
    fn pid(&self) -> Option<u32>;
}

macro_rules! started {
    ($($server:ty),*) => {$(
        impl Started for $server {
            fn url(&self) -> String {
                self.url()
            }

            fn pid(&self) -> Option<u32> {
                self.pid()
            }
        }
    )*};
}
started!(RedisServer, PostgresServer, MongoServer, DynamoServer);

/// Where the sessions are.
pub(crate) struct Home {
    /// Empty for this process.
    pub(crate) url: String,
    product: String,
    place: Place,
}

enum Place {
    ThisProcess,
    Started(Box<dyn Started>),
    /// Named on the command line.
    Given,
}

impl Home {
    pub(crate) fn this_process() -> Self {
        Self { url: String::new(), product: "this process".into(), place: Place::ThisProcess }
    }

    /// The server that was named for `backend`, else a new one.
    pub(crate) fn open<S: Started + 'static>(
        settings: &Settings,
        backend: &str,
        start: impl FnOnce() -> Result<S, ServerError>,
    ) -> Result<Self, BoxError> {
        let product = String::new();
        if let Some(url) = settings.options.urls.get(backend) {
            return Ok(Self { url: url.clone(), product, place: Place::Given });
        }
        let server = start()?;
        Ok(Self { url: server.url(), product, place: Place::Started(Box::new(server)) })
    }

    /// With its product and version, once they are known.
    pub(crate) fn of(mut self, product: impl Into<String>) -> Self {
        self.product = product.into();
        self
    }

    /// Whether nobody else uses it.
    pub(crate) fn is_private(&self) -> bool {
        !matches!(self.place, Place::Given)
    }

    /// For the report: product, version, and whose it is.
    pub(crate) fn description(&self) -> String {
        let product = &self.product;
        match self.place {
            Place::ThisProcess => product.clone(),
            Place::Started(_) => format!("{product}, started for this run"),
            Place::Given => format!("{product}, given"),
        }
    }

    /// The processor time of a server of our own with all its processes, the ended ones included, where the system
    /// says so.
    pub(crate) fn used_time(&self) -> Option<Duration> {
        let Place::Started(server) = &self.place else { return None };
        let root = server.pid()?;
        let folders = fs::read_dir("/proc").ok()?.flatten();
        let processes: Vec<_> = folders.filter_map(|it| Process::read(&it.path())).collect();
        let own = processes.iter().filter(|it| it.pid == root || it.parent == root);
        let ticks: u64 = own.map(|it| it.ticks).sum();
        (ticks > 0).then(|| Duration::from_secs(ticks) / TICKS_PER_SECOND)
    }
}

struct Process {
    pid: u32,
    parent: u32,
    /// Its own, and of those that it has waited for.
    ticks: u64,
}

impl Process {
    fn read(folder: &Path) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name of the program, in brackets, may contain anything.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|it| it.parse::<u64>().unwrap_or(0)).sum();
        Some(Self { pid, parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::Process;

    #[test]
    fn a_process_says_whose_it_is_and_what_it_used() {
        let own = Path::new("/proc").join(std::process::id().to_string());
        let own = Process::read(&own).unwrap();
        assert_eq!(own.pid, std::process::id());
        assert_eq!(Some(own.parent), Some(std::os::unix::process::parent_id()));
        assert!(Process::read(Path::new("/proc/meminfo")).is_none());
    }
}
