//! What must hold for any bytes, as functions that a fuzzer calls. Not part of the API.
//!
//! Each answers whether the bytes were accepted, and panics when a promise is broken.

use std::time::Duration;

use session_core::SessionToken;

use crate::cookie::{CookiePolicy, Presented, SameSite, read_cookie};
use crate::local_url::LocalUrl;

const NAME: &str = "__Host-session";

/// Opens nothing.
const TOKEN: &str = "an-example-for-the-fuzzer-which-is-no-token-of-any-session------";

/// Bytes from a `Cookie` header: what is read is what a reader finds that looks at each pair by itself, also when
/// the header comes in several lines.
#[allow(clippy::must_use_candidate, reason = "a fuzzer has no use for the answer")]
pub fn cookie(data: &[u8]) -> bool {
    let presented = read_cookie([data], NAME);
    let mut values = data.split(|byte| *byte == b';').filter_map(|pair| {
        let pair = without_blanks_before(pair);
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        (&pair[..equals] == NAME.as_bytes()).then(|| &pair[equals + 1..])
    });
    let expected = match (values.next(), values.next()) {
        (None, _) => Presented::Nothing,
        (Some(value), None) => Presented::One(value),
        (Some(_), Some(_)) => Presented::Several,
    };
    assert!(presented == expected, "read {presented:?} instead of {expected:?}");
    let lines = data.split(|byte| *byte == b';');
    assert!(read_cookie(lines, NAME) == presented, "one header and several are read differently");
    if let Presented::One(value) = presented {
        assert!(!value.contains(&b';'), "a value has no semicolon");
    }
    presented != Presented::Nothing
}

fn without_blanks_before(mut pair: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = pair {
        pair = rest;
    }
    pair
}

/// A name, a path and a domain, parted by line feeds: refused, or written so that each attribute reads back as it was
/// given and none was added.
#[allow(clippy::must_use_candidate, reason = "a fuzzer has no use for the answer")]
#[allow(clippy::missing_panics_doc, reason = "that is how it answers")]
pub fn policy(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\n');
    let mut next = || parts.next().unwrap_or_default();
    let (name, path, domain) = (next(), next(), next());
    let mut builder = CookiePolicy::builder().name(name).path(path).same_site(SameSite::Strict);
    if !domain.is_empty() {
        builder = builder.domain(domain);
    }
    let Ok(policy) = builder.build() else { return false };
    let token = SessionToken::parse(TOKEN.as_bytes()).expect("it has the form of a token");
    for (header, value) in [(policy.set(&token, Duration::ZERO), TOKEN), (policy.remove(), "")] {
        let text = header.value();
        assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{text:?}");
        let attributes: Vec<&str> = text.split("; ").collect();
        let mut expected = vec![format!("{name}={value}")];
        expected.extend(value.is_empty().then(|| "Max-Age=0".to_owned()));
        expected.push(format!("Path={path}"));
        expected.extend((!domain.is_empty()).then(|| format!("Domain={domain}")));
        expected.extend(["Secure", "HttpOnly", "SameSite=Strict"].map(str::to_owned));
        assert_eq!(attributes, expected);
    }
    let prefix = name.to_ascii_lowercase().starts_with("__host-");
    assert!(!prefix || (path == "/" && domain.is_empty()), "a promise of the prefix is broken");
    true
}

/// Bytes from a form: refused, or a path of this site in the eyes of a browser.
#[allow(clippy::must_use_candidate, reason = "a fuzzer has no use for the answer")]
#[allow(clippy::missing_panics_doc, reason = "that is how it answers")]
pub fn local_url(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let Ok(url) = text.parse::<LocalUrl>() else { return false };
    assert_eq!(url.as_str(), text);
    // What a browser does first: it drops tabs and line breaks, strips the ends, and takes each \ for a /.
    let seen: String = text
        .trim_matches(|it: char| it <= ' ')
        .chars()
        .filter(|it| !matches!(it, '\t' | '\r' | '\n'))
        .map(|it| if it == '\\' { '/' } else { it })
        .collect();
    assert!(seen.starts_with('/') && !seen.starts_with("//"), "{seen:?} is another site");
    true
}

#[cfg(test)]
mod tests;
