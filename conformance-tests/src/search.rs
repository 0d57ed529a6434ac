//! Finding secrets in bytes, however they are spelled there.

use std::collections::HashMap;
use std::fmt::Write as _;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

/// Secrets are looked for in pieces of this many bytes, so that a part of one is found too.
const PIECE: usize = 16;

/// The beginning of a spelling, by which it is looked up.
const BEGINNING: usize = 8;

/// A search for many secrets at once, each under a label.
///
/// Found are the bytes themselves, hexadecimal digits, both kinds of base64 at any place of a longer text,
/// lists of numbers as `Debug` writes them, and escaped byte strings.
pub(crate) struct Search<L> {
    spellings: HashMap<[u8; BEGINNING], Vec<Spelling<L>>>,
}

struct Spelling<L> {
    text: Box<[u8]>,
    label: L,
}

impl<L> Default for Search<L> {
    fn default() -> Self {
        Self { spellings: HashMap::new() }
    }
}

impl<L: Clone + PartialEq> Search<L> {
    /// Looks for `secret` from now on. A secret of less than 16 bytes is no secret, and not looked for.
    pub(crate) fn add(&mut self, secret: &[u8], label: &L) {
        let rest = secret.len().checked_sub(PIECE).map(|last| &secret[last..]);
        for piece in secret.chunks_exact(PIECE).chain(rest) {
            for spelling in spellings(piece) {
                let Some(beginning) = spelling.first_chunk() else { continue };
                let known = self.spellings.entry(*beginning).or_default();
                if !known.iter().any(|known| *known.text == *spelling && known.label == *label) {
                    known.push(Spelling { text: spelling.into(), label: label.clone() });
                }
            }
        }
    }

    /// Goes on looking only for the secrets whose label is to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&L) -> bool) {
        self.spellings.retain(|_, known| {
            known.retain(|spelling| keep(&spelling.label));
            !known.is_empty()
        });
    }

    /// The labels of the secrets in `text`, each once.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<L> {
        let mut found = Vec::new();
        for (at, window) in text.windows(BEGINNING).enumerate() {
            let known = window.first_chunk().and_then(|beginning| self.spellings.get(beginning));
            for spelling in known.into_iter().flatten() {
                if text[at..].starts_with(&spelling.text) && !found.contains(&spelling.label) {
                    found.push(spelling.label.clone());
                }
            }
        }
        found
    }
}

fn spellings(piece: &[u8]) -> Vec<Vec<u8>> {
    let mut list = String::new();
    for byte in piece {
        let _ = write!(list, "{byte}, ");
    }
    let mut spellings = vec![
        piece.to_vec(),
        HEXLOWER.encode(piece).into_bytes(),
        HEXUPPER.encode(piece).into_bytes(),
        list.trim_end_matches(", ").as_bytes().to_vec(),
        piece.escape_ascii().to_string().into_bytes(),
    ];
    for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
        spellings.extend((0..3).map(|before| base64_within(alphabet, piece, before)));
    }
    spellings
}

/// Those digits of `piece` that are the same whatever stands around it, when `before` bytes stand before it in
/// its group of three.
fn base64_within(alphabet: &Encoding, piece: &[u8], before: usize) -> Vec<u8> {
    let digits = alphabet.encode(&[&[0; 2][..before], piece].concat());
    let first = (before * 8).div_ceil(6);
    let end = (before + piece.len()) * 8 / 6;
    digits.as_bytes()[first..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = *b"\x00\x01\xfe\xffThe quick brown\xf0\x9f\xa6\x8a fox jump";

    fn search() -> Search<&'static str> {
        let mut search = Search::default();
        search.add(&SECRET, &"secret");
        search
    }

    #[test]
    fn every_spelling_is_found_at_any_place() {
        for before in 0..7 {
            let around = [&[b'x'; 7][..before], &SECRET, b"yz"].concat();
            for text in [
                around.clone(),
                HEXLOWER.encode(&around).into_bytes(),
                HEXUPPER.encode(&around).into_bytes(),
                BASE64_NOPAD.encode(&around).into_bytes(),
                BASE64URL_NOPAD.encode(&around).into_bytes(),
                format!("{around:?}").into_bytes(),
                around.escape_ascii().to_string().into_bytes(),
                format!("{:?}", session_core::Bytes::from(around.clone())).into_bytes(),
            ] {
                assert_eq!(search().find(&text), ["secret"], "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn half_of_a_secret_is_found_and_other_text_is_not() {
        assert_eq!(search().find(&SECRET[..PIECE]), ["secret"]);
        assert_eq!(search().find(&SECRET[PIECE..]), ["secret"]);
        assert!(search().find(&SECRET[..PIECE - 1]).is_empty());
        assert!(search().find(&[]).is_empty());
        assert!(search().find(b"The quick brown cat jumps over the lazy dog").is_empty());
    }

    #[test]
    fn what_is_not_kept_is_not_found_any_more() {
        let mut search = search();
        search.add(b"another secret of some length", &"other");
        search.retain(|label| *label == "other");
        assert!(search.find(&SECRET).is_empty());
        assert_eq!(search.find(b"<another secret of some length>"), ["other"]);
    }
}
