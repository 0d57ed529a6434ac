//! A million inputs each in the ordinary test run. `FUZZ_RUNS` asks for another number.

use data_encoding::BASE64URL_NOPAD;

use super::generate::Generator;
use super::{CODECS, payload, token};
use crate::MAX_PAYLOAD_LEN;
use crate::payload::encode;

/// Leaves most mutations of a payload to its body.
const PAYLOAD_HEADER: usize = 5;

/// What a blind change rarely hits upon.
const PIECES: &[&[u8]] = &[
    b"\"data\":",
    b"\"flash\":",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"{\"a\":{\"a\":",
    b"}}",
    b",",
    b":",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"1e400",
    b"-0",
    b"18446744073709551616",
    b"0.1",
    b"null",
    b"\"$serde_json::private::Number\"",
    b"\"__proto__\"",
    b" ",
    b"\0",
    b"\xff",
    b"=",
    b"-_",
    b"\x80",
    b"\xc0",
    b"\xc4\xff",
    b"\xc7\x01\x01a",
    b"\xca\x7f\xc0\0\0",
    b"\xcb\x7f\xf0\0\0\0\0\0\0",
    b"\xd9\x01a",
    b"\xdb\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xa4data",
    b"\xa5flash",
    b"\x91\x91\x91\x91\x91\x91\x91\x91",
];

#[test]
fn any_bytes_of_a_cookie_are_a_token_or_refused() {
    let mut generator = Generator::new();
    let mut corpus = Vec::new();
    for _ in 0..64 {
        let bytes: Vec<_> = (0..48).map(|_| generator.byte()).collect();
        corpus.push(BASE64URL_NOPAD.encode(&bytes).into_bytes());
    }
    run(&corpus, 0, &mut generator, token);
}

#[test]
fn any_bytes_of_a_store_are_content_or_refused() {
    let mut generator = Generator::new();
    let mut corpus = Vec::new();
    for _ in 0..128 {
        let content = generator.content();
        for codec in CODECS {
            corpus.push(encode(&content, *codec, MAX_PAYLOAD_LEN).unwrap().to_vec());
        }
    }
    run(&corpus, PAYLOAD_HEADER, &mut generator, payload);
}

fn run(corpus: &[Vec<u8>], header: usize, generator: &mut Generator, accepts: fn(&[u8]) -> bool) {
    let runs = std::env::var("FUZZ_RUNS").map_or(1_000_000, |runs| runs.parse().unwrap());
    let mut accepted = 0_u32;
    let mut input = Shown(Vec::new());
    assert!(corpus.iter().all(|valid| accepts(valid)), "the corpus is valid");
    for number in 0..runs {
        if number % 500_000 == 499_999 {
            println!("{} of {runs} tried", number + 1);
        }
        input.0.clone_from(&corpus[generator.below(corpus.len())]);
        for _ in 0..=generator.below(3) {
            mutate(&mut input.0, header, corpus, generator);
        }
        accepted += u32::from(accepts(&input.0));
    }
    println!("{accepted} of {runs} accepted");
    let accepted = f64::from(accepted) / f64::from(runs);
    assert!(accepted > 0.001, "next to all inputs were refused: the test is blunt");
    assert!(accepted < 0.9, "next to all inputs were accepted: the test is blunt");
}

/// Shows the input of a run that panicked.
struct Shown(Vec<u8>);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the input was {}", self.0.escape_ascii());
        }
    }
}

fn mutate(input: &mut Vec<u8>, header: usize, corpus: &[Vec<u8>], generator: &mut Generator) {
    let start = if generator.below(16) == 0 { 0 } else { header.min(input.len()) };
    let at = start + generator.below(input.len() - start);
    let end = at + generator.below((input.len() - at).min(24));
    match generator.below(8) {
        0 if at < input.len() => input[at] ^= 1 << generator.below(8),
        1 if at < input.len() => input[at] = generator.byte(),
        2 => input.insert(at, generator.byte()),
        3 => {
            input.splice(at..at, generator.pick(PIECES).iter().copied());
        }
        4 => {
            input.splice(at..end, generator.pick(PIECES).iter().copied());
        }
        5 => {
            input.drain(at..end);
        }
        6 => {
            let repeated = input[at..end].to_vec();
            input.splice(at..at, repeated);
        }
        _ => {
            let other = &corpus[generator.below(corpus.len())];
            let from = generator.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
