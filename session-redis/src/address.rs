//! Where the server is, from a URL.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use session_core::{StoreError, StoreErrorKind};

/// A server, and how to log in there. `Debug` shows no password.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) login: RedisConnectionInfo,
}

impl Address {
    /// Reads `redis://` or `rediss://` `[user][:password]@host[:port][/database]`.
    ///
    /// No error repeats any part of the URL, since it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| config("the URL has no scheme"))?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(config("the scheme of the URL is neither redis nor rediss")),
        };
        if rest.contains('#') {
            return Err(config(
                "a fragment in the URL is not supported; certificates are always verified",
            ));
        }
        if rest.contains('?') {
            return Err(config("options in the URL are not supported; use the builder"));
        }
        // The driver reads the rest, TLS or not; what it says may repeat the URL.
        let info: ConnectionInfo =
            format!("redis://{rest}").into_connection_info().map_err(|_| {
                config("the URL has no usable host, port, database number, user or password")
            })?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(config("the URL has no host"));
        };
        if host.is_empty() || info.redis_settings().db() < 0 {
            return Err(config("the URL has no usable host or database number"));
        }
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self { host: host.clone(), port: *port, tls, login })
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_host_port_and_database_are_read() {
        let address =
            Address::parse("redis://app:p%40ss%2Fw%23rd%3F@cache.example:7000/3").unwrap();
        assert_eq!(
            (address.host.as_str(), address.port, address.tls),
            ("cache.example", 7000, false)
        );
        assert_eq!(address.login.username(), Some("app"));
        assert_eq!(address.login.password(), Some("p@ss/w#rd?"));
        assert_eq!(address.login.db(), 3);
    }

    #[test]
    fn ipv6_hosts_and_defaults_are_read() {
        let address = Address::parse("rediss://[::1]").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.tls), ("::1", 6379, true));
        let address = Address::parse("redis://:only-password@127.0.0.1").unwrap();
        assert_eq!(address.login.username(), None);
        assert_eq!(address.login.password(), Some("only-password"));
    }

    #[test]
    fn other_schemes_and_weakening_options_are_refused_without_repeating_the_url() {
        for url in [
            "",
            "canary",
            "http://canary@host",
            "unix:///canary",
            "redis+unix:///canary",
            "valkey://canary@host",
            "redis://",
            "redis:///0",
            "rediss://u:canary@host#insecure",
            "rediss://u:canary@host/#insecure",
            "redis://u:canary@host/?protocol=resp3",
            "redis://u:canary@host?insecure=true",
            "redis://u:canary@host/not-a-number",
            "redis://u:canary@host/-1",
            "redis://u:canary@host:99999",
            "redis://u:canary%ff@host",
            "redis://u:canary@0.0.0.0",
            "redis://u:canary@ho st",
        ] {
            let error = Address::parse(url).expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{url}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{url}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let address = Address::parse("redis://app:canary@host").unwrap();
        assert!(!format!("{address:?}").contains("canary"));
    }
}
