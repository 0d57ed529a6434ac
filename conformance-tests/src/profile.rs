//! What an adapter says about itself.

use std::time::Duration;

/// The facts about an adapter that the suite has to know. Facts only: what is right and wrong is the same
/// for everybody.
///
/// ```
/// use conformance_tests::Profile;
///
/// const MEMORY: Profile = Profile::new("session-memory").volatile();
/// assert_eq!(MEMORY.name(), "session-memory");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    name: &'static str,
    volatile: bool,
    op_timeout: Duration,
    version: Option<&'static str>,
    driver: Option<&'static str>,
}

impl Profile {
    /// The profile of the adapter with this name, usually the name of its crate.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let op_timeout = Duration::from_secs(5);
        Self { name, volatile: false, op_timeout, version: None, driver: None }
    }

    /// Says the version of the adapter, for [reports](crate::report): `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub const fn version(self, version: &'static str) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Says on which crate the adapter is built that speaks to the backend, for [reports](crate::report). Its
    /// version is looked up in `Cargo.lock`.
    #[must_use]
    pub const fn driver(self, name: &'static str) -> Self {
        Self { driver: Some(name), ..self }
    }

    /// Says that the records live in this process and are lost with it, so that rule I03 does not apply.
    #[must_use]
    pub const fn volatile(self) -> Self {
        Self { volatile: true, ..self }
    }

    /// Says after which time every call has ended, as the handles are configured that the fixture opens, with
    /// some time to spare for a busy machine. 5 seconds where nothing is said.
    #[must_use]
    pub const fn op_timeout(self, op_timeout: Duration) -> Self {
        Self { op_timeout, ..self }
    }

    /// The name of the adapter.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the records are lost with the process.
    #[must_use]
    pub const fn is_volatile(&self) -> bool {
        self.volatile
    }

    pub(crate) const fn adapter_version(&self) -> Option<&'static str> {
        self.version
    }

    pub(crate) const fn driver_name(&self) -> Option<&'static str> {
        self.driver
    }

    /// After which time every call has ended.
    pub(crate) const fn longest_call(&self) -> Duration {
        self.op_timeout
    }
}
