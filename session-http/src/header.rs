//! Headers of the response.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// A header for the response: its name in lower case, and its value.
pub struct ResponseHeader {
    name: Cow<'static, str>,
    value: Zeroizing<String>,
}

impl ResponseHeader {
    /// The parts are put together in one buffer of the right size, so that no copy of a token stays behind.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, value: &[&str]) -> Self {
        Self { name: name.into(), value: Zeroizing::new(value.concat()) }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value: visible ASCII and spaces. It may hold a token: mark it as sensitive where the framework can.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Shows the name. The value may hold a token.
impl fmt::Debug for ResponseHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHeader").field("name", &self.name).finish_non_exhaustive()
    }
}
