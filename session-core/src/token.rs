//! What the client holds, and what the store keeps of it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::id::SessionId;
use crate::random::{RandomSource, RandomUnavailable};
use crate::realm::Realm;

/// The secret half of a token: 256 random bits from the operating system.
///
/// It exists in memory and in the client's cookie only, and is wiped on drop. It has no `Debug`,
/// `Display`, `Serialize` or `PartialEq`: the only question that it answers is whether its hash is
/// the stored one.
///
/// ```compile_fail
/// fn show(secret: session_core::SessionSecret) { println!("{secret:?}"); }
/// ```
/// ```compile_fail
/// fn same(a: session_core::SessionSecret, b: session_core::SessionSecret) -> bool { a == b }
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret([u8; Self::LEN]);

impl SessionSecret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A new secret from `random`.
    ///
    /// # Errors
    ///
    /// When the random source fails, or delivers nothing but zeros.
    pub fn random(random: &dyn RandomSource) -> Result<Self, RandomUnavailable> {
        let mut secret = Self([0; Self::LEN]);
        random.fill(&mut secret.0)?;
        if secret.is_zero() { Err(RandomUnavailable) } else { Ok(secret) }
    }

    fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

/// What a client presents: the public [`SessionId`], then the [`SessionSecret`].
///
/// 48 bytes, hence exactly 64 characters of base64url (RFC 4648, section 5) with no padding and no
/// spare bits: every token has one accepted spelling. A token whose id or secret is all zero is
/// refused.
///
/// ```
/// use session_core::{OsRandom, SessionToken};
///
/// let token = SessionToken::random(&OsRandom)?;
/// let text = token.encode();
/// assert_eq!(text.as_str().len(), SessionToken::TEXT_LEN);
/// assert_eq!(SessionToken::parse(text.as_str().as_bytes())?.id(), token.id());
/// assert!(SessionToken::parse(b"not a token").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SessionToken {
    id: SessionId,
    secret: SessionSecret,
}

impl SessionToken {
    /// Length of the text form in characters.
    pub const TEXT_LEN: usize = 64;

    /// A new id and a new secret.
    ///
    /// # Errors
    ///
    /// When the random source fails.
    pub fn random(random: &dyn RandomSource) -> Result<Self, RandomUnavailable> {
        let mut bytes = Bytes48::zero();
        random.fill(&mut bytes.0)?;
        Self::from_bytes(&bytes).map_err(|_| RandomUnavailable)
    }

    /// The token of session `id` with the secret `secret`.
    #[must_use]
    pub const fn new(id: SessionId, secret: SessionSecret) -> Self {
        Self { id, secret }
    }

    /// Reads a token from the bytes that a client sent.
    ///
    /// Constant work for any length of input, no allocation, no store call.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] for anything but the one spelling of a token.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidToken> {
        if text.len() != Self::TEXT_LEN {
            return Err(InvalidToken);
        }
        let mut bytes = Bytes48::zero();
        BASE64URL_NOPAD.decode_mut(text, &mut bytes.0).map_err(|_| InvalidToken)?;
        Self::from_bytes(&bytes)
    }

    /// The text that the client gets, in a buffer that is wiped on drop.
    #[must_use]
    pub fn encode(&self) -> TokenText {
        let mut bytes = Bytes48::zero();
        bytes.0[..SessionId::LEN].copy_from_slice(self.id.as_bytes());
        bytes.0[SessionId::LEN..].copy_from_slice(&self.secret.0);
        let mut text = TokenText([0; Self::TEXT_LEN]);
        BASE64URL_NOPAD.encode_mut(&bytes.0, &mut text.0);
        text
    }

    /// The public half.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The secret half.
    #[must_use]
    pub const fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// The key for `purpose` that only the holder of this token, and who was told, can know.
    pub(crate) fn derive_key(&self, purpose: &str) -> DerivedKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret.0)
            .expect("HMAC takes keys of every length");
        mac.update(b"session-derived/1");
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(self.id.as_bytes());
        DerivedKey(mac.finalize().into_bytes().into())
    }

    fn from_bytes(bytes: &Bytes48) -> Result<Self, InvalidToken> {
        let (id, secret) = bytes.0.split_at(SessionId::LEN);
        let id = SessionId::try_from(id).map_err(|_| InvalidToken)?;
        let mut token = Self { id, secret: SessionSecret([0; SessionSecret::LEN]) };
        token.secret.0.copy_from_slice(secret);
        if token.secret.is_zero() { Err(InvalidToken) } else { Ok(token) }
    }
}

/// Shows the public id and nothing of the secret.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Not a session token. Says nothing about the input, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token")]
pub struct InvalidToken;

/// A token as the client gets it: 64 characters, wiped on drop, never shown by `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TokenText([u8; SessionToken::TEXT_LEN]);

impl TokenText {
    /// The text. Put it into the cookie, and nowhere else.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "base64url is ASCII")]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url is ASCII")
    }

    /// The text as bytes, as [`Sessions::open`](crate::Sessions::open) takes it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

/// A key that was derived from a session's secret, see [`Session::derive_key`](crate::Session::derive_key).
///
/// Wiped on drop. It has no `Debug` and no `PartialEq`: compare what is made of it in constant time.
///
/// ```compile_fail
/// fn show(key: session_core::DerivedKey) { println!("{key:?}"); }
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DerivedKey([u8; Self::LEN]);

impl DerivedKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The key as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// The raw 48 bytes of a token on their way through the stack.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes48([u8; SessionId::LEN + SessionSecret::LEN]);

impl Bytes48 {
    const fn zero() -> Self {
        Self([0; SessionId::LEN + SessionSecret::LEN])
    }
}

/// What the store keeps of a secret:
/// SHA-256(`"session/1"` ‖ length of the realm (one byte) ‖ realm ‖ id ‖ secret).
///
/// The secret has 256 random bits, so a plain hash is enough: there is nothing to guess (OWASP Session
/// Management Cheat Sheet). Realm and id are bound in, so that a record copied to another id or
/// another tenant opens nothing. Comparison takes constant time and happens in this crate only.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; Self::LEN]);

impl SecretHash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The hash of `token` in `realm`.
    #[must_use]
    pub fn of(token: &SessionToken, realm: &Realm) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"session/1");
        hasher.update([realm.len_byte()]);
        hasher.update(realm.as_bytes());
        hasher.update(token.id.as_bytes());
        hasher.update(&token.secret.0);
        Self(hasher.finalize().into())
    }

    /// The hash with these bytes, as an adapter read them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The hash as bytes, for an adapter to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn token() -> SessionToken {
        SessionToken::random(&OsRandom).unwrap()
    }

    #[test]
    fn every_single_character_change_is_refused_or_another_token() {
        let text = token().encode();
        for position in 0..SessionToken::TEXT_LEN {
            for byte in 0..=u8::MAX {
                let mut changed = text.0;
                if changed[position] == byte {
                    continue;
                }
                changed[position] = byte;
                if let Ok(parsed) = SessionToken::parse(&changed) {
                    assert_eq!(parsed.encode().0, changed, "two spellings of one token");
                }
            }
        }
    }

    #[test]
    fn other_lengths_alphabets_and_padding_are_refused() {
        let text = token().encode().as_str().to_owned();
        let standard = "+/".repeat(32);
        for bad in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}="),
            format!("{text} "),
            format!(" {}", &text[1..]),
            format!("{}\t", &text[1..]),
            format!("{}\0", &text[1..]),
            format!("{}%00", &text[3..]),
            standard,
            "../../etc/passwd".into(),
            "..%2f".into(),
            "'; DROP TABLE s;--".into(),
            "{\"$gt\":\"\"}".into(),
            "*".into(),
            "]".into(),
            "\r\nDEL x\r\n".into(),
            "a".repeat(1 << 20),
        ] {
            assert_eq!(SessionToken::parse(bad.as_bytes()).err(), Some(InvalidToken));
        }
    }

    #[test]
    fn all_zero_halves_are_refused() {
        let zero = "A".repeat(64);
        assert!(SessionToken::parse(zero.as_bytes()).is_err());
        let mut bytes = Bytes48::zero();
        bytes.0[0] = 1;
        assert!(SessionToken::from_bytes(&bytes).is_err(), "zero secret");
        let mut bytes = Bytes48::zero();
        bytes.0[47] = 1;
        assert!(SessionToken::from_bytes(&bytes).is_err(), "zero id");
    }

    #[test]
    fn the_hash_binds_realm_id_and_secret() {
        let one = token();
        let moved = SessionToken::new(token().id, one.secret.clone());
        let realm = Realm::new("tenant").unwrap();
        let hash = SecretHash::of(&one, &Realm::default());
        assert_eq!(hash, SecretHash::of(&one, &Realm::default()));
        assert_ne!(hash, SecretHash::of(&one, &realm));
        assert_ne!(hash, SecretHash::of(&moved, &Realm::default()));
        assert_ne!(hash, SecretHash::of(&token(), &Realm::default()));
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        // printf 'session/1\x01r' + 16 bytes 0x01 + 32 bytes 0x02 | sha256sum
        let mut bytes = Bytes48([2; 48]);
        bytes.0[..16].fill(1);
        let token = SessionToken::from_bytes(&bytes).unwrap();
        let hash = SecretHash::of(&token, &Realm::new("r").unwrap());
        assert_eq!(
            data_encoding::HEXLOWER.encode(hash.as_bytes()),
            "2739bec407c7381586ed933cf83a870a51dee0606c1e20519736717dc168a1bc"
        );
    }

    #[test]
    fn derived_keys_are_bound_to_secret_id_and_purpose() {
        // printf 'session-derived/1\0\0\0\0\0\0\0\x01p' + 16 bytes 0x01
        //   | openssl dgst -sha256 -mac HMAC -macopt hexkey:0202…02 (32 bytes)
        let mut bytes = Bytes48([2; 48]);
        bytes.0[..16].fill(1);
        let known = SessionToken::from_bytes(&bytes).unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(known.derive_key("p").as_bytes()),
            "ba6385ff5fd7228a36cfad8866e238a532e94c68664f330b851182cb2affe8df"
        );
        let one = token();
        let other_id = SessionToken::new(token().id, one.secret.clone());
        let other_secret = SessionToken::new(one.id, token().secret.clone());
        let key = one.derive_key("form").0;
        assert_eq!(one.clone().derive_key("form").0, key);
        for other in [&other_id, &other_secret] {
            assert_ne!(other.derive_key("form").0, key);
        }
        assert_ne!(one.derive_key("other").0, key);
        assert_ne!(&key, SecretHash::of(&one, &Realm::default()).as_bytes());
    }

    #[test]
    fn debug_shows_the_id_only() {
        let token = token();
        let text = token.encode();
        let shown = format!("{token:?} {text:?} {:?}", SecretHash::of(&token, &Realm::default()));
        assert!(shown.contains(&token.id().to_string()));
        assert!(!shown.contains(text.as_str()));
        assert!(!shown.contains(&text.as_str()[22..]));
    }

    #[test]
    fn symbols_are_evenly_distributed() {
        let mut counts = [0_u32; 256];
        for _ in 0..20_000 {
            for byte in token().encode().as_bytes() {
                counts[usize::from(*byte)] += 1;
            }
        }
        let used: Vec<f64> = counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n)).collect();
        assert_eq!(used.len(), 64, "every symbol of the alphabet occurs");
        let expected = 20_000.0;
        let chi_square: f64 = used.iter().map(|n| (n - expected).powi(2) / expected).sum();
        // 63 degrees of freedom: 160 is passed by chance once in 10^9 runs.
        assert!(chi_square < 160.0, "chi square {chi_square}");
    }
}
