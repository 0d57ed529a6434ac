//! What an adapter says about itself.

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
}

impl Profile {
    /// The profile of the adapter with this name, usually the name of its crate.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, volatile: false }
    }

    /// Says that the records live in this process and are lost with it, so that rule I03 does not apply.
    #[must_use]
    pub const fn volatile(self) -> Self {
        Self { volatile: true, ..self }
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
}
