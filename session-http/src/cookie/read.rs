/// What a request presents in the place where the session's token belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// One value, as it came. It need not be a token.
    One(&'a [u8]),
    /// More than one value, equal or not. This is no session: the order says nothing about who placed which
    /// (RFC 6265, section 4.2.2).
    Several,
}

/// Shows that there is a value, and nothing of it.
impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::One(_) => "One(..)",
            Self::Several => "Several",
        })
    }
}

/// Finds the cookie `name` in the values of all `Cookie` headers of one request, as they came.
///
/// Byte for byte: nothing is decoded, unquoted or compared without case; only spaces and tabs before a name
/// are passed over, and nothing is removed around a value. Other cookies may hold any bytes. Takes one pass over
/// the headers, and copies nothing.
///
/// ```
/// use session_http::{Presented, read_cookie};
///
/// let header: &[u8] = b"theme=dark; __Host-session=abc";
/// assert_eq!(read_cookie([header], "__Host-session"), Presented::One(b"abc"));
/// assert_eq!(read_cookie([header], "__host-session"), Presented::Nothing);
/// assert_eq!(read_cookie([header, header], "theme"), Presented::Several);
/// ```
#[must_use]
pub fn read_cookie<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Presented<'a> {
    let mut presented = Presented::Nothing;
    for header in headers {
        let pairs = header.split(|byte| *byte == b';');
        for value in pairs.filter_map(|pair| value_of(pair, name.as_bytes())) {
            presented = match presented {
                Presented::Nothing => Presented::One(value),
                Presented::One(_) | Presented::Several => return Presented::Several,
            };
        }
    }
    presented
}

/// The value of the pair, if it has this name.
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = pair.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    pair[start..].strip_prefix(name)?.strip_prefix(b"=")
}
