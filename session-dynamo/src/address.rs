//! Where DynamoDB is, from a URL or from the environment.

use std::env;
use std::net::IpAddr;

use aws_sdk_dynamodb::config::Credentials;
use session_core::{StoreError, StoreErrorKind};
use url::{Host, Url};

const PLAIN_PORT: u16 = 8_000;
const TLS_PORT: u16 = 443;

/// An endpoint, and what a URL may say besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) region: String,
    pub(crate) table: Option<String>,
    pub(crate) subjects_table: Option<String>,
}

/// A place that is not the usual one of the region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `host:port`, a host of IPv6 in brackets.
    authority: String,
    /// On this machine, so that nobody listens on the way.
    pub(crate) is_loopback: bool,
    asked: Asked,
}

/// What the address says about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Tls,
    PlainText,
}

impl Endpoint {
    /// Whether TLS is used. Without it only on this machine, or where that is allowed by name.
    pub(crate) fn tls(&self, allow_plain_text: bool) -> Result<bool, StoreError> {
        let may_be_plain = self.is_loopback || allow_plain_text;
        match self.asked {
            Asked::Tls => Ok(true),
            Asked::Nothing => Ok(!may_be_plain),
            Asked::PlainText if may_be_plain => Ok(false),
            Asked::PlainText => Err(config(
                "an endpoint with http is used on this machine only, unless plain text is allowed",
            )),
        }
    }

    pub(crate) fn url(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    fn new(host: &Host<&str>, port: Option<u16>, asked: Asked) -> Self {
        let ip = match host {
            Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            Host::Domain(name) => name.parse().ok(),
        };
        let is_loopback = match ip {
            Some(ip) => ip.is_loopback(),
            None => matches!(host, Host::Domain("localhost")),
        };
        let port = port.unwrap_or(if is_loopback { PLAIN_PORT } else { TLS_PORT });
        Self { authority: format!("{host}:{port}"), is_loopback, asked }
    }
}

/// A variable of the environment; an empty one counts as not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) fn environment(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

impl Address {
    /// Reads `dynamodb://host[:port][?region=…&table=…&subjects=…]`.
    ///
    /// No error repeats any part of the URL, since somebody may have put a secret into it.
    pub(crate) fn parse(url: &str, environment: Environment<'_>) -> Result<Self, StoreError> {
        let url = Url::parse(url).map_err(|_| config("the URL cannot be read"))?;
        if url.scheme() != "dynamodb" {
            return Err(config("the scheme of the URL is not dynamodb"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(config(
                "credentials do not belong in the URL; they come from the environment or with the client",
            ));
        }
        if url.fragment().is_some() || !matches!(url.path(), "" | "/") {
            return Err(config("a path or fragment in the URL is not supported"));
        }
        let host =
            url.host().filter(is_usable).ok_or_else(|| config("the URL has no usable host"))?;
        let (mut region, mut table, mut subjects_table) = (None, None, None);
        for (name, value) in url.query_pairs() {
            let option = match &*name {
                "region" => &mut region,
                "table" => &mut table,
                "subjects" => &mut subjects_table,
                _ => {
                    return Err(config(
                        "the URL has an option besides region, table and subjects; use the builder",
                    ));
                }
            };
            if option.replace(value.into_owned()).is_some() {
                return Err(config("the URL has an option twice"));
            }
        }
        let endpoint = Some(Endpoint::new(&host, url.port(), Asked::Nothing));
        let region = region.map_or_else(|| self::region(environment), Ok)?;
        Ok(Self { endpoint, region: checked_region(region)?, table, subjects_table })
    }

    /// The region of `AWS_REGION` or `AWS_DEFAULT_REGION`, at the endpoint of `AWS_ENDPOINT_URL_DYNAMODB` or
    /// `AWS_ENDPOINT_URL` if there is one.
    pub(crate) fn of_environment(environment: Environment<'_>) -> Result<Self, StoreError> {
        let url =
            environment("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| environment("AWS_ENDPOINT_URL"));
        let endpoint = url.as_deref().map(endpoint_of).transpose()?;
        let region = checked_region(region(environment)?)?;
        Ok(Self { endpoint, region, table: None, subjects_table: None })
    }
}

/// An endpoint as the variables of the environment have it, with `http` or `https`.
fn endpoint_of(url: &str) -> Result<Endpoint, StoreError> {
    let unusable = || config("the endpoint in the environment is not a usable URL");
    let url = Url::parse(url).map_err(|_| unusable())?;
    let (asked, usual_port) = match url.scheme() {
        "http" => (Asked::PlainText, 80),
        "https" => (Asked::Tls, TLS_PORT),
        _ => return Err(unusable()),
    };
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host().filter(|_| bare).ok_or_else(unusable)?;
    Ok(Endpoint::new(&host, url.port().or(Some(usual_port)), asked))
}

fn is_usable(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        }
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

fn region(environment: Environment<'_>) -> Result<String, StoreError> {
    environment("AWS_REGION")
        .or_else(|| environment("AWS_DEFAULT_REGION"))
        .ok_or_else(|| config("there is no region, neither given nor in the environment"))
}

fn checked_region(region: String) -> Result<String, StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if region.is_empty() || region.len() > 63 || !region.bytes().all(allowed) {
        return Err(config("a region has 1 to 63 characters of a-z A-Z 0-9 -"));
    }
    Ok(region)
}

/// The credentials of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. On this machine any
/// will do where there are none: a local server does not look at them.
pub(crate) fn credentials(
    environment: Environment<'_>,
    is_loopback: bool,
) -> Result<Credentials, StoreError> {
    match (environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY")) {
        (Some(key), Some(secret)) => {
            let token = environment("AWS_SESSION_TOKEN");
            Ok(Credentials::new(key, secret, token, None, "environment"))
        }
        _ if is_loopback => Ok(Credentials::new("local", "local", None, None, "none needed")),
        _ => Err(config(
            "there are no credentials in the environment; hand in a client that has some",
        )),
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn parse(url: &str) -> Address {
        Address::parse(url, &nothing).unwrap()
    }

    #[test]
    fn hosts_ports_and_options_are_read() {
        for (url, endpoint) in [
            ("dynamodb://127.0.0.1?region=x", "http://127.0.0.1:8000"),
            ("dynamodb://127.0.0.1:4566/?region=x", "http://127.0.0.1:4566"),
            ("dynamodb://localhost?region=x", "http://localhost:8000"),
            ("dynamodb://[::1]?region=x", "http://[::1]:8000"),
            ("dynamodb://10.0.0.7?region=x", "https://10.0.0.7:443"),
            ("dynamodb://db.internal:8443?region=x", "https://db.internal:8443"),
            ("dynamodb://localhost.example?region=x", "https://localhost.example:443"),
        ] {
            let found = parse(url).endpoint.unwrap();
            assert_eq!(found.url(found.tls(false).unwrap()), endpoint, "{url}");
            assert!(!found.tls(true).unwrap(), "{url}");
        }
        let address =
            parse("dynamodb://h?region=eu-west-1&table=shop.sessions&subjects=shop_users");
        assert_eq!(address.region, "eu-west-1");
        assert_eq!(address.table.as_deref(), Some("shop.sessions"));
        assert_eq!(address.subjects_table.as_deref(), Some("shop_users"));
    }

    #[test]
    fn other_urls_and_options_are_refused_without_repeating_them() {
        for url in [
            "",
            "canary",
            "http://canary",
            "dynamodbs://canary?region=x",
            "dynamodb:",
            "dynamodb:canary",
            "dynamodb://?region=x",
            "dynamodb:///canary?region=x",
            "dynamodb://key:canary@127.0.0.1?region=x",
            "dynamodb://canary@127.0.0.1?region=x",
            "dynamodb://127.0.0.1",
            "dynamodb://127.0.0.1?region=",
            "dynamodb://127.0.0.1?region=canary/../x",
            "dynamodb://127.0.0.1?region=x&tls=off-canary",
            "dynamodb://127.0.0.1?region=x&insecure=canary",
            "dynamodb://127.0.0.1?region=x&consistent_read=canary",
            "dynamodb://127.0.0.1?region=x&endpoint=http://canary",
            "dynamodb://127.0.0.1?region=x&region=canary",
            "dynamodb://127.0.0.1?region=x&secret=canary",
            "dynamodb://127.0.0.1/canary?region=x",
            "dynamodb://127.0.0.1?region=x#canary",
            "dynamodb://127.0.0.1:99999?region=canary",
            "dynamodb://ho st?region=canary",
            "dynamodb://canary%2eexample?region=x",
        ] {
            let error = Address::parse(url, &nothing).expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{url}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{url}");
        }
    }

    #[test]
    fn the_environment_gives_region_endpoint_and_credentials() {
        let set = |pairs: &'static [(&str, &str)]| {
            move |wanted: &str| {
                let found = pairs.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| (*value).to_owned())
            }
        };
        let region = set(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")]);
        let address = Address::of_environment(&region).unwrap();
        assert_eq!((address.region.as_str(), address.endpoint), ("eu-west-1", None));
        let url = Address::parse("dynamodb://127.0.0.1", &region).unwrap();
        assert_eq!(url.region, "eu-west-1");

        let local = set(&[
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"),
            ("AWS_ENDPOINT_URL", "https://elsewhere.example"),
        ]);
        let endpoint = Address::of_environment(&local).unwrap().endpoint.unwrap();
        assert_eq!(endpoint.url(endpoint.tls(false).unwrap()), "http://localhost:8000");
        let elsewhere = endpoint_of("http://dynamo.example").unwrap();
        assert_eq!(elsewhere.tls(false).unwrap_err().kind(), StoreErrorKind::Config);
        assert_eq!(elsewhere.url(elsewhere.tls(true).unwrap()), "http://dynamo.example:80");
        assert!(endpoint_of("https://localhost").unwrap().tls(true).unwrap(), "TLS was asked for");

        for (name, url) in [
            ("AWS_ENDPOINT_URL", "https://user:canary@host.example"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://canary"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "canary"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "https://host.example/canary"),
        ] {
            let found = |wanted: &str| match wanted {
                "AWS_REGION" => Some("x".to_owned()),
                _ => (wanted == name).then(|| url.to_owned()),
            };
            let error = Address::of_environment(&found).expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{url}");
            assert!(!format!("{error:?}").contains("canary"), "{url}");
        }
        assert!(Address::of_environment(&nothing).is_err());

        let keys = set(&[
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "token"),
        ]);
        let found = credentials(&keys, false).unwrap();
        assert_eq!(
            (found.access_key_id(), found.secret_access_key(), found.session_token()),
            ("key", "canary", Some("token"))
        );
        assert!(!format!("{found:?}").contains("canary"));
        assert_eq!(credentials(&nothing, true).unwrap().access_key_id(), "local");
        assert_eq!(credentials(&nothing, false).unwrap_err().kind(), StoreErrorKind::Config);
    }
}
