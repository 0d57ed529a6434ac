//! What the workspace allows itself. `deny.toml` says the same for people who have that tool.

/// Licences that a dependency of a published crate may have.
pub(crate) const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// A crate that must not be in the tree, not even for tests.
pub(crate) struct Ban {
    pub(crate) name: &'static str,
    /// A beginning of the version, such as `0.21.`; empty for every version.
    pub(crate) version: &'static str,
    pub(crate) reason: &'static str,
}

const fn ban(name: &'static str, version: &'static str, reason: &'static str) -> Ban {
    Ban { name, version, reason }
}

pub(crate) const BANS: &[Ban] = &[
    ban("async-std", "", "discontinued"),
    ban("bincode", "", "discontinued, its last release does not compile"),
    ban("native-tls", "", "TLS is rustls, on every system the same"),
    ban("openssl", "", "TLS is rustls, on every system the same"),
    ban("openssl-sys", "", "TLS is rustls, on every system the same"),
    ban("serde_cbor", "", "unmaintained"),
    ban("tide", "", "unmaintained"),
    ban("typetag", "", "lets stored bytes choose the code that reads them"),
    ban("h2", "0.3.", "known security faults, no longer repaired"),
    ban("hyper", "0.14.", "old line, brings the old TLS stack"),
    ban("rustls", "0.21.", "old line, brings the old certificate checks"),
    ban("rustls-webpki", "0.101.", "known security faults, no longer repaired"),
];

/// Where a crate of the workspace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Core,
    Adapter,
    Http,
    Framework,
    Suite,
}

/// The published crates. One that is missing here is a finding.
pub(crate) const ROLES: &[(&str, Role)] = &[
    ("session-core", Role::Core),
    ("session-memory", Role::Adapter),
    ("session-redis", Role::Adapter),
    ("session-postgres", Role::Adapter),
    ("session-mongo", Role::Adapter),
    ("session-dynamo", Role::Adapter),
    ("session-http", Role::Http),
    ("session-tower", Role::Framework),
    ("session-actix", Role::Framework),
    ("conformance-tests", Role::Suite),
];

impl Role {
    /// The crates of the workspace that one of this role may be built on.
    pub(crate) fn may_use(self) -> &'static [Role] {
        match self {
            Self::Core => &[],
            Self::Adapter | Self::Http => &[Self::Core],
            Self::Suite | Self::Framework => &[Self::Core, Self::Http],
        }
    }

    /// Crates that one of this role must not name itself.
    pub(crate) fn must_not_name(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Core | Self::Http => &[RUNTIMES, HTTP, DRIVERS, CONTAINERS],
            Self::Adapter => &[HTTP, CONTAINERS],
            Self::Suite => &[HTTP, DRIVERS],
            Self::Framework => &[DRIVERS, CONTAINERS],
        }
    }

    /// Crates that must not stand anywhere below one of this role.
    pub(crate) fn must_not_contain(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Core => &[RUNTIMES, HTTP, DRIVERS, CONTAINERS],
            // Drivers bring what they need; `session-http` is told apart by what it names.
            Self::Adapter | Self::Http | Self::Framework | Self::Suite => &[],
        }
    }
}

const RUNTIMES: &[&str] = &[
    "actix-rt",
    "async-executor",
    "async-global-executor",
    "async-io",
    "glommio",
    "monoio",
    "smol",
    "tokio",
];

const HTTP: &[&str] = &[
    "actix-http",
    "actix-web",
    "axum",
    "axum-core",
    "cookie",
    "headers",
    "http",
    "http-body",
    "http-body-util",
    "hyper",
    "hyper-util",
    "poem",
    "reqwest",
    "rocket",
    "tower-http",
    "ureq",
    "warp",
];

/// Starting servers is the suite's part.
const CONTAINERS: &[&str] = &["bollard", "testcontainers"];

const DRIVERS: &[&str] = &[
    "aws-config",
    "aws-sdk-dynamodb",
    "deadpool-postgres",
    "deadpool-redis",
    "diesel",
    "fred",
    "mongodb",
    "postgres",
    "redis",
    "sqlx",
    "sqlx-core",
    "tokio-postgres",
];

#[cfg(test)]
mod tests {
    use super::{BANS, LICENCES};

    const DENY: &str = include_str!("../../deny.toml");

    #[test]
    fn the_file_for_cargo_deny_says_the_same() {
        let listed = |section: &str| {
            let start = DENY.find(section).unwrap() + section.len();
            DENY[start..].split("\n]").next().unwrap().lines().filter(|it| it.contains('"')).count()
        };
        assert_eq!(listed("\nallow = ["), LICENCES.len());
        for licence in LICENCES {
            assert!(DENY.contains(&format!("    \"{licence}\",\n")), "{licence}");
        }
        assert_eq!(listed("\ndeny = ["), BANS.len());
        for ban in BANS {
            let version = ban.version.trim_end_matches('.');
            let range = if version.is_empty() { String::new() } else { format!("@{version}") };
            let line =
                format!("{{ crate = \"{}{range}\", reason = \"{}\" }}", ban.name, ban.reason);
            assert!(DENY.contains(&line), "{line}");
        }
    }
}
