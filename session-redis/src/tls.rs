//! TLS by rustls, with a crypto provider that is named, never guessed.

use session_core::{StoreError, StoreErrorKind};

#[cfg(feature = "tls-rustls")]
pub(crate) use with_rustls::Tls;

#[cfg(not(feature = "tls-rustls"))]
pub(crate) use without::Tls;

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(feature = "tls-rustls")]
mod with_rustls {
    use std::fmt;
    use std::io;
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::CryptoProvider;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::{StoreError, config};

    /// What is needed to open TLS connections to one host.
    #[derive(Clone)]
    pub(crate) struct Tls {
        connector: TlsConnector,
        host: ServerName<'static>,
    }

    impl Tls {
        /// `roots` are PEM certificates to trust instead of the system's.
        pub(crate) fn new(host: &str, roots: Option<&[u8]>) -> Result<Self, StoreError> {
            let provider = provider()?;
            let host = ServerName::try_from(host.to_owned())
                .map_err(|_| config("the host cannot be the name in a certificate"))?;
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| {
                    config("the crypto provider supports no version of TLS that is safe")
                        .with_source(error)
                })?;
            let roots = match roots {
                Some(pem) => given_roots(pem)?,
                None => system_roots()?,
            };
            let connector = TlsConnector::from(Arc::new(
                builder.with_root_certificates(roots).with_no_client_auth(),
            ));
            Ok(Self { connector, host })
        }

        pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
            self.connector.connect(self.host.clone(), stream).await
        }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Tls").field("host", &self.host).finish_non_exhaustive()
        }
    }

    /// The process' provider if the application chose one; else the one that our features name, if it is one.
    /// rustls' own choice would panic where there are none or two.
    fn provider() -> Result<Arc<CryptoProvider>, StoreError> {
        let named: Vec<CryptoProvider> = Vec::from([
            #[cfg(feature = "tls-rustls-ring")]
            tokio_rustls::rustls::crypto::ring::default_provider(),
            #[cfg(feature = "tls-rustls-aws-lc")]
            tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
        ]);
        match (CryptoProvider::get_default(), <[CryptoProvider; 1]>::try_from(named)) {
            (Some(chosen), _) => Ok(Arc::clone(chosen)),
            (None, Ok([named])) => Ok(Arc::new(named)),
            (None, Err(_)) => Err(config(
                "rediss:// needs one crypto provider: install rustls' process default, or enable exactly \
                 one of tls-rustls-ring and tls-rustls-aws-lc",
            )),
        }
    }

    fn given_roots(pem: &[u8]) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
            added.ok_or_else(|| config("a root certificate is not a PEM certificate"))?;
        }
        if roots.is_empty() {
            Err(config("there is no root certificate in the PEM"))
        } else {
            Ok(roots)
        }
    }

    fn system_roots() -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            Err(config("the system has no root certificates; name them in the builder"))
        } else {
            Ok(roots)
        }
    }
}

#[cfg(not(feature = "tls-rustls"))]
mod without {
    use std::convert::Infallible;
    use std::io;

    use tokio::net::TcpStream;

    use super::{StoreError, config};

    /// Does not exist without a TLS feature.
    #[derive(Debug, Clone)]
    pub(crate) struct Tls(Infallible);

    impl Tls {
        pub(crate) fn new(_host: &str, _roots: Option<&[u8]>) -> Result<Self, StoreError> {
            Err(config(
                "rediss:// needs one of the features tls-rustls-ring, tls-rustls-aws-lc, tls-rustls",
            ))
        }

        #[allow(clippy::unused_async, reason = "the same signature as with TLS")]
        pub(crate) async fn connect(&self, _stream: TcpStream) -> io::Result<TcpStream> {
            match self.0 {}
        }
    }
}
