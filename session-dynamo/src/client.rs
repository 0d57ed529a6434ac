//! The driver's client, with our limits instead of its own.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Credentials, Region, StalledStreamProtectionConfig,
};
use session_core::StoreError;

use crate::address::{self, Address, Environment};
use crate::tls;

/// Shorter than the time after which the service closes a connection that is not used, so that no request is
/// sent into one that is just being closed.
pub(crate) const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// How long a piece of a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Name resolution, TCP and TLS.
    pub(crate) connect: Duration,
    /// One send with its reply, a new connection included.
    pub(crate) attempt: Duration,
}

/// How a client of our own is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport<'a> {
    /// Accept an endpoint elsewhere without TLS.
    pub(crate) allow_plain_text: bool,
    pub(crate) tls_roots: Option<&'a [u8]>,
}

/// The same client with our time limits, and without its own retries: it would send again what must be sent once,
/// and does not say what it did.
pub(crate) fn adopt(client: &Client, times: Times) -> Client {
    Client::from_conf(limited(client.config().to_builder(), times).build())
}

/// A client for `address`. Without an endpoint, the one of the region.
pub(crate) fn open(
    address: &Address,
    transport: Transport<'_>,
    times: Times,
    environment: Environment<'_>,
) -> Result<Client, StoreError> {
    let endpoint = address.endpoint.as_ref();
    let is_loopback = endpoint.is_some_and(|endpoint| endpoint.is_loopback);
    let tls = endpoint.map_or(Ok(true), |endpoint| endpoint.tls(transport.allow_plain_text))?;
    let http = if tls {
        tls::client(transport.tls_roots)?
    } else {
        aws_smithy_http_client::Builder::new().pool_idle_timeout(IDLE_CONNECTION).build_http()
    };
    let credentials: Credentials = address::credentials(environment, is_loopback)?;
    let mut builder = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(address.region.clone()))
        .credentials_provider(credentials)
        .http_client(http);
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint.url(tls));
    }
    Ok(Client::from_conf(limited(builder, times).build()))
}

fn limited(builder: Builder, times: Times) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(times.connect)
        .operation_attempt_timeout(times.attempt)
        .disable_read_timeout()
        .disable_operation_timeout()
        .build();
    builder
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Answers are short, and each attempt has its time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}
