//! Where the servers are, from a URI, and what a URI must not say.

use mongodb::options::{
    Acknowledgment, ConnectionString, HostInfo, ReadConcern, ReadPreference, ServerAddress, Tls,
};
use session_core::{StoreError, StoreErrorKind};

/// Whether plain text to another machine is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainText {
    OnLoopback,
    Everywhere,
}

/// Reads a URI and refuses what would weaken the store.
///
/// No error repeats any part of the URI, since it may hold a password.
pub(crate) fn parse(uri: &str, plain_text: PlainText) -> Result<ConnectionString, StoreError> {
    if uri.starts_with("mongodb+srv://") && !cfg!(feature = "dns-resolver") {
        return Err(config("mongodb+srv:// needs the feature dns-resolver"));
    }
    let parsed = ConnectionString::parse(uri).map_err(|_| {
        config(
            "the URI is not one that the driver reads: is it `mongodb://` or `mongodb+srv://`, are user and \
             password percent-encoded, are all options known and given once?",
        )
    })?;
    refuse_weak_concerns(&parsed)?;
    refuse_weak_tls(&parsed, plain_text)?;
    Ok(parsed)
}

fn refuse_weak_concerns(uri: &ConnectionString) -> Result<(), StoreError> {
    if let Some(concern) = &uri.write_concern {
        if concern.w.as_ref().is_some_and(|w| *w != Acknowledgment::Majority) {
            return Err(config("the URI sets `w`: every write waits for a majority"));
        }
        if concern.journal == Some(false) {
            return Err(config("the URI sets `journal=false`: every write is journaled"));
        }
        if concern.w_timeout.is_some() {
            return Err(config("the URI sets `wTimeoutMS`: the builder's deadline says it"));
        }
    }
    if uri.read_concern.as_ref().is_some_and(|concern| *concern != ReadConcern::majority()) {
        return Err(config(
            "the URI sets `readConcernLevel`: reads are of majority, or what the builder's \
             `linearizable_reads` says",
        ));
    }
    if uri.read_preference.as_ref().is_some_and(|preference| *preference != ReadPreference::Primary)
    {
        return Err(config("the URI sets `readPreference`: every read is from the primary"));
    }
    Ok(())
}

fn refuse_weak_tls(uri: &ConnectionString, plain_text: PlainText) -> Result<(), StoreError> {
    let invalid = |tls: &Tls| match tls {
        Tls::Enabled(options) => options.allow_invalid_certificates == Some(true),
        Tls::Disabled => false,
    };
    if uri.tls_insecure() == Some(true) || uri.tls.as_ref().is_some_and(invalid) {
        return Err(config("certificates are always verified; name their authority by tlsCAFile"));
    }
    let is_tls = matches!(uri.tls, Some(Tls::Enabled(_)));
    if is_tls || plain_text == PlainText::Everywhere || is_loopback(&uri.host_info) {
        return Ok(());
    }
    Err(config(
        "the URI leads to another machine without `tls=true`; if the network between is safe, say \
         allow_plain_text() to the builder",
    ))
}

fn is_loopback(hosts: &HostInfo) -> bool {
    let one = |address: &ServerAddress| match address {
        ServerAddress::Tcp { host, .. } => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        ServerAddress::Unix { .. } => true,
        _ => false,
    };
    match hosts {
        HostInfo::HostIdentifiers(hosts) => hosts.iter().all(one),
        _ => false,
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> ConnectionString {
        parse(uri, PlainText::OnLoopback).unwrap_or_else(|error| panic!("{uri}: {error}"))
    }

    fn hosts(uri: &ConnectionString) -> Vec<String> {
        match &uri.host_info {
            HostInfo::HostIdentifiers(hosts) => hosts.iter().map(ToString::to_string).collect(),
            HostInfo::DnsRecord(name) => vec![name.clone()],
            _ => Vec::new(),
        }
    }

    #[test]
    fn user_password_hosts_and_database_are_read() {
        let uri = read(
            "mongodb://app%40x:p%40ss%2Fw%23rd%3F%25@a.example:27018,b.example/sessions?\
             tls=true&replicaSet=rs0&authSource=admin&retryWrites=true&w=majority&journal=true&\
             readPreference=primary&readConcernLevel=majority&appName=shop",
        );
        let credential = uri.credential.as_ref().unwrap();
        assert_eq!(credential.username.as_deref(), Some("app@x"));
        assert_eq!(credential.password.as_deref(), Some("p@ss/w#rd?%"));
        assert_eq!(credential.source.as_deref(), Some("admin"));
        assert_eq!(hosts(&uri), ["a.example:27018", "b.example:27017"]);
        assert_eq!(uri.default_database.as_deref(), Some("sessions"));
        assert_eq!(uri.replica_set.as_deref(), Some("rs0"));
    }

    #[test]
    fn ipv6_hosts_and_sockets_are_read() {
        assert_eq!(hosts(&read("mongodb://[::1]:27018/x")), ["::1:27018"]);
        assert_eq!(hosts(&read("mongodb://[::1],127.0.0.9,LOCALHOST/x")).len(), 3);
        #[cfg(unix)]
        assert_eq!(hosts(&read("mongodb://%2Ftmp%2Fmongodb-27017.sock/x")).len(), 1);
    }

    #[cfg(feature = "dns-resolver")]
    #[test]
    fn a_dns_seed_list_has_tls() {
        let uri =
            read("mongodb+srv://app:p%40ss@cluster.example/sessions?retryWrites=true&w=majority");
        assert_eq!(hosts(&uri), ["cluster.example"]);
        assert!(matches!(uri.tls, Some(Tls::Enabled(_))));
        let error = parse("mongodb+srv://cluster.example/x?tls=false", PlainText::OnLoopback);
        assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Config);
    }

    #[cfg(not(feature = "dns-resolver"))]
    #[test]
    fn a_dns_seed_list_without_its_feature_is_a_matter_of_configuration() {
        let error =
            parse("mongodb+srv://u:canary@cluster.example/x", PlainText::Everywhere).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config);
        assert!(error.to_string().contains("dns-resolver"));
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn what_would_weaken_the_store_is_refused_without_repeating_the_uri() {
        let refused = [
            "",
            "canary",
            "canary://host/x",
            "redis://u:canary@localhost/x",
            "mongodb://",
            "mongodb://u:canary@/x",
            "mongodb://u:canary@localhost:99999/x",
            "mongodb://u:canary@localhost:canary/x",
            "mongodb://u:canary%zz@localhost/x",
            "mongodb://u:can@ary@localhost/x",
            "mongodb://u:canary@[::1/x",
            "mongodb://u:canary@localhost/x?canary=1",
            "mongodb://u:canary@localhost/x?w",
            "mongodb://u:canary@localhost/x?w=0",
            "mongodb://u:canary@localhost/x?w=1",
            "mongodb://u:canary@localhost/x?w=3",
            "mongodb://u:canary@localhost/x?w=canary",
            "mongodb://u:canary@localhost/x?w=majority&w=majority",
            "mongodb://u:canary@localhost/x?journal=false",
            "mongodb://u:canary@localhost/x?wtimeoutMS=5",
            "mongodb://u:canary@localhost/x?readPreference=secondary",
            "mongodb://u:canary@localhost/x?readPreference=primaryPreferred",
            "mongodb://u:canary@localhost/x?readPreference=nearest",
            "mongodb://u:canary@localhost/x?readConcernLevel=local",
            "mongodb://u:canary@localhost/x?readConcernLevel=available",
            "mongodb://u:canary@localhost/x?tls=true&tlsInsecure=true",
            "mongodb://u:canary@localhost/x?tls=true&tlsAllowInvalidCertificates=true",
        ];
        for uri in refused {
            // None of it is a matter of plain text.
            let error = parse(uri, PlainText::Everywhere).expect_err(uri);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{uri}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{uri}");
        }
    }

    #[test]
    fn plain_text_to_another_machine_has_to_be_allowed_by_name() {
        for uri in [
            "mongodb://u:canary@db.example/x",
            "mongodb://u:canary@db.example/x?tls=false",
            "mongodb://u:canary@db.example/x?ssl=false",
            "mongodb://u:canary@192.0.2.1/x",
            "mongodb://u:canary@[2001:db8::1]/x",
            "mongodb://localhost,db.example/x",
            "mongodb://localhost.example/x",
            "mongodb://127.0.0.1.example/x",
        ] {
            let error = parse(uri, PlainText::OnLoopback).expect_err(uri);
            assert_eq!(error.kind(), StoreErrorKind::Config, "{uri}");
            assert!(error.to_string().contains("allow_plain_text"), "{uri}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{uri}");
            assert!(parse(uri, PlainText::Everywhere).is_ok(), "{uri}");
        }
        read("mongodb://u:p@db.example/x?tls=true");
        read("mongodb://u:p@db.example/x?tls=true&tlsCAFile=%2Fetc%2Fca.pem");
        read("mongodb://u:p@127.0.0.1/x?tls=false");
    }
}
