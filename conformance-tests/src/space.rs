//! A namespace of its own for every rule.

use std::sync::Arc;

use crate::Result;
use crate::endpoint::Endpoint;
use crate::net::Proxy;

/// A namespace that no other rule and no other run uses.
///
/// Map [`Space::name`] to whatever separates data on the backend: a key prefix, a schema, a collection.
/// Opening the same space twice must give two handles on the same data. The suite deletes nothing
/// wholesale; the namespace of a failed rule is kept for a look.
#[derive(Debug, Clone)]
pub struct Space {
    name: String,
    proxy: Option<Arc<Proxy>>,
}

impl Space {
    pub(crate) const fn new(name: String) -> Self {
        Self { name, proxy: None }
    }

    /// The same namespace, reached through the proxy.
    pub(crate) fn through(&self, proxy: &Arc<Proxy>) -> Self {
        Self { name: self.name.clone(), proxy: Some(Arc::clone(proxy)) }
    }

    /// The name: lower-case ASCII letters, digits and `_`, at most 32 characters, beginning with a letter.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `host:port` to connect to in order to reach `endpoint`: its own address, or one on loopback where
    /// the suite listens in order to disturb what passes.
    ///
    /// # Errors
    ///
    /// When the endpoint has no network address, or nobody can listen on loopback.
    pub async fn route(&self, endpoint: &Endpoint) -> Result<String> {
        let address = endpoint.address().ok_or("an in-process endpoint has no address")?;
        match &self.proxy {
            None => Ok(address.to_owned()),
            Some(proxy) => {
                if let Some(password) = endpoint.password() {
                    proxy.know_password(password);
                }
                Ok(proxy.route(address).await?)
            }
        }
    }

    /// The same as a whole URL: that of `endpoint`, with the address to connect to in it.
    ///
    /// # Errors
    ///
    /// As [`Space::route`].
    pub async fn route_url(&self, endpoint: &Endpoint) -> Result<String> {
        Ok(endpoint.url_with(&self.route(endpoint).await?))
    }
}
