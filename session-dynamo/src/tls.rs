//! TLS by rustls, with a crypto provider that is named, never guessed.

use aws_sdk_dynamodb::config::SharedHttpClient;
use session_core::{StoreError, StoreErrorKind};

#[cfg(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"))]
pub(crate) use with_rustls::client;

/// The client with TLS, if a feature brought it.
#[cfg(not(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc")))]
pub(crate) fn client(_roots: Option<&[u8]>) -> Result<SharedHttpClient, StoreError> {
    Err(config("TLS needs one of the features tls-rustls-ring and tls-rustls-aws-lc"))
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"))]
mod with_rustls {
    use aws_smithy_http_client::Builder;
    use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
    use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::{SharedHttpClient, StoreError, config};
    use crate::client::IDLE_CONNECTION;

    #[cfg(feature = "tls-rustls-ring")]
    const CRYPTO: CryptoMode = CryptoMode::Ring;
    #[cfg(not(feature = "tls-rustls-ring"))]
    const CRYPTO: CryptoMode = CryptoMode::AwsLc;

    /// The client with TLS. `roots` are PEM certificates to trust instead of the system's.
    pub(crate) fn client(roots: Option<&[u8]>) -> Result<SharedHttpClient, StoreError> {
        let trusted = if let Some(pem) = roots {
            check_given(pem)?;
            TrustStore::empty().with_pem_certificate(pem)
        } else {
            check_system()?;
            TrustStore::empty().with_native_roots(true)
        };
        let context = TlsContext::builder()
            .with_trust_store(trusted)
            .build()
            .map_err(|_| config("the root certificates cannot be used"))?;
        Ok(Builder::new()
            .pool_idle_timeout(IDLE_CONNECTION)
            .tls_provider(Provider::Rustls(CRYPTO))
            .tls_context(context)
            .build_https())
    }

    /// The HTTP client would panic.
    fn check_given(pem: &[u8]) -> Result<(), StoreError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
            added.ok_or_else(|| config("a root certificate is not a PEM certificate"))?;
        }
        if roots.is_empty() {
            return Err(config("there is no root certificate in the PEM"));
        }
        Ok(())
    }

    /// The HTTP client would trust nobody, or panic.
    fn check_system() -> Result<(), StoreError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(config("the system has no root certificates; name them in the builder"));
        }
        Ok(())
    }
}
