//! What a kind of server runs from in a container.

/// The images of a kind of server, and the variable that names another one.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "containers"), allow(dead_code, reason = "containers are a feature"))]
pub struct Image {
    pub(super) variable: &'static str,
    /// The maker's own, from a public registry.
    pub(super) public: &'static str,
    /// What `cargo xtask servers images` builds in its place where no registry is reachable. It takes
    /// the same arguments and variables.
    pub(super) stand_in: &'static str,
}

/// How an image is to be run.
#[derive(Debug, Clone, Default)]
#[cfg_attr(not(feature = "containers"), allow(dead_code, reason = "containers are a feature"))]
pub struct Contents {
    /// Variables of its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// What follows the name of the image.
    pub(crate) arguments: Vec<String>,
}

impl Contents {
    /// These arguments, and no variables.
    pub(super) fn arguments(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Self { environment: Vec::new(), arguments }
    }

    /// The same with a variable.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}
