//! Where the server is, from a URL, and how well the way there is protected.

use std::net::IpAddr;

use session_core::{StoreError, StoreErrorKind};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

const DEFAULT_PORT: u16 = 5432;

/// The options in a URL that are passed on: none of them weakens anything by itself.
const OPTIONS: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"];

/// How to treat a way to the server on which somebody could listen or answer instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Outside this machine only `verify-full` will do.
    Verified,
    /// Any mode that is stated will do.
    AsStated,
}

/// Reads `postgres://user[:password]@host[:port][/database][?sslmode=…]`.
///
/// No error repeats any part of the URL, since it may hold a password.
pub(crate) fn parse(url: &str, transport: Transport) -> Result<PgConnectOptions, StoreError> {
    let parsed = Url::parse(url).map_err(|_| config("the URL is not one"))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(config("the scheme of the URL is neither postgres nor postgresql"));
    }
    if parsed.fragment().is_some() {
        return Err(config("a fragment in the URL is not supported"));
    }
    // Otherwise the environment and the account of this process would choose.
    let Some(host) = parsed.host_str().filter(|host| !host.is_empty()) else {
        return Err(config("the URL has no host"));
    };
    if parsed.username().is_empty() {
        return Err(config("the URL has no user"));
    }
    let mut seen = Vec::new();
    for (key, _) in parsed.query_pairs() {
        if !OPTIONS.contains(&&*key) {
            return Err(config(
                "of options the URL may have sslmode, sslrootcert, sslcert, sslkey and application_name",
            ));
        }
        if seen.contains(&key) {
            return Err(config("an option stands twice in the URL"));
        }
        seen.push(key);
    }
    // The driver reads user, password, database and certificates; what it says may repeat the URL.
    let options: PgConnectOptions = url.parse().map_err(|_| {
        config("the URL has no usable host, port, user, password, database or option")
    })?;
    if options.get_options().is_some_and(|options| !options.is_empty()) {
        return Err(config("PGOPTIONS is set, which could weaken the connection; unset it"));
    }
    let mut options = options
        .port(parsed.port().unwrap_or(DEFAULT_PORT))
        // Not understood by poolers, and of no use here.
        .extra_float_digits(None)
        .disable_statement_logging();
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        options = options.host(address);
    }
    // The mode counts only when it is stated here: the driver would also take it from the environment.
    if !seen.iter().any(|key| key == "sslmode") {
        if !is_local(&options) {
            return Err(config("the URL does not state an sslmode; state sslmode=verify-full"));
        }
        options = options.ssl_mode(PgSslMode::Disable);
    }
    check_transport(&options, transport)?;
    Ok(options)
}

/// Refuses what does not protect the way to another machine.
pub(crate) fn check_transport(
    options: &PgConnectOptions,
    transport: Transport,
) -> Result<(), StoreError> {
    let mode = options.get_ssl_mode();
    let has_tls = cfg!(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"));
    if !has_tls && matches!(mode, PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull)
    {
        return Err(config("TLS needs one of the features tls-rustls-ring and tls-rustls-aws-lc"));
    }
    if is_local(options) {
        return Ok(());
    }
    match mode {
        PgSslMode::VerifyFull => Ok(()),
        PgSslMode::Prefer | PgSslMode::Allow => Err(config(
            "sslmode prefer and allow fall back to plain text unasked; state sslmode=verify-full",
        )),
        _ if transport == Transport::AsStated => Ok(()),
        _ => Err(config(
            "this sslmode does not verify the server; state sslmode=verify-full, or build the store with \
             unverified_server",
        )),
    }
}

/// Whether somebody on the way could answer in the server's place.
pub(crate) fn is_unverified(options: &PgConnectOptions) -> bool {
    !is_local(options) && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
}

/// Whether the server is on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS_TLS: bool = cfg!(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"));

    fn mode(url: &str, transport: Transport) -> Result<PgSslMode, StoreError> {
        parse(url, transport).map(|options| options.get_ssl_mode())
    }

    #[test]
    fn user_host_port_and_database_are_read() {
        let url = "postgres://app:p%40ss%2Fw%23rd%3F@127.0.0.1:7000/shop%2F1?application_name=shop";
        let options = parse(url, Transport::Verified).unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("127.0.0.1", 7000));
        assert_eq!(options.get_username(), "app");
        assert_eq!(options.get_database(), Some("shop/1"));
        assert_eq!(options.get_application_name(), Some("shop"));
        let options = parse("postgresql://app@[::1]/shop", Transport::Verified).unwrap();
        assert_eq!((options.get_host(), options.get_port()), ("::1", DEFAULT_PORT));
        let socket = parse("postgres://app@%2Fvar%2Frun%2Fpostgresql/shop", Transport::Verified);
        assert!(socket.unwrap().get_socket().unwrap().starts_with("/var/run/postgresql"));
    }

    #[test]
    fn another_machine_is_verified_or_refused() {
        let far = "postgres://app@db.example";
        let verified = mode(&format!("{far}?sslmode=verify-full"), Transport::Verified);
        assert_eq!(matches!(verified, Ok(PgSslMode::VerifyFull)), HAS_TLS);
        for weak in ["", "?sslmode=disable", "?sslmode=require", "?sslmode=verify-ca"] {
            let error = mode(&format!("{far}{weak}"), Transport::Verified).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Config, "{weak}");
        }
        let plain = mode(&format!("{far}?sslmode=disable"), Transport::AsStated);
        assert!(matches!(plain, Ok(PgSslMode::Disable)));
        let unverified = mode(&format!("{far}?sslmode=REQUIRE"), Transport::AsStated);
        assert_eq!(matches!(unverified, Ok(PgSslMode::Require)), HAS_TLS);
        // Nothing allows a fallback that nobody asked for.
        for silent in ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=Prefer"] {
            let error = mode(&format!("{far}{silent}"), Transport::AsStated).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Config, "{silent}");
        }
    }

    #[test]
    fn this_machine_needs_no_tls() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "%2Ftmp"] {
            let plain = mode(&format!("postgres://app@{host}/shop"), Transport::Verified);
            assert!(matches!(plain, Ok(PgSslMode::Disable)), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "[::2]", "0.0.0.0"] {
            assert!(mode(&format!("postgres://app@{host}/shop"), Transport::Verified).is_err());
        }
    }

    #[test]
    fn tls_without_a_feature_is_a_matter_of_configuration() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://app@127.0.0.1?sslmode={mode}");
            assert_eq!(parse(&url, Transport::Verified).is_ok(), HAS_TLS, "{mode}");
        }
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for url in [
            "",
            "canary",
            "mysql://u:canary@127.0.0.1",
            "postgres:///canary",
            "postgres://127.0.0.1/canary",
            "postgres://:canary@127.0.0.1",
            "postgres://u:canary@127.0.0.1:99999",
            "postgres://u:canary@127.0.0.1/#x",
            "postgres://u:canary@127.0.0.1?sslmode=canary",
            "postgres://u:canary@127.0.0.1?sslmode=disable&sslmode=disable",
            "postgres://u:canary@127.0.0.1?host=db.example",
            "postgres://u:canary@127.0.0.1?hostaddr=192.0.2.1",
            "postgres://u@127.0.0.1?password=canary",
            "postgres://u:canary@127.0.0.1?options=-c%20synchronous_commit%3Doff",
            "postgres://u:canary@127.0.0.1?options[synchronous_commit]=off",
            "postgres://u:canary@127.0.0.1?statement-cache-capacity=0",
            "postgres://u:canary@127.0.0.1?ssl-mode=disable",
            "postgres://u:canary@127.0.0.1?canary=1",
            "postgres://u:canary%ff@127.0.0.1",
        ] {
            let error = parse(url, Transport::AsStated).expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{url}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{url}");
        }
    }
}
