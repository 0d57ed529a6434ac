//! A million inputs each in the ordinary test run. `FUZZ_RUNS` asks for another number.

use session_core::{OsRandom, RandomSource};

use super::{cookie, local_url, policy};

/// What a blind change rarely hits upon.
const PIECES: &[&[u8]] = &[
    b"__Host-session=",
    b"__host-session=",
    b"%5F%5FHost-session=",
    b"\xe2\x80\x80__Host-session=",
    b"; ",
    b";",
    b" ;",
    b"=",
    b"==",
    b"\"",
    b"\t",
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b"/",
    b"//",
    b"\\",
    b"example",
    b".example",
    b"a.example; Path=/x",
    b"..",
    b"%2f",
    b"__Secure-",
    b"__Http-",
    b"://",
    b"?",
    b"#",
];

#[test]
fn any_bytes_of_a_cookie_header_are_read_as_written() {
    let corpus: &[&[u8]] = &[
        b"__Host-session=abc",
        b"a=b; __Host-session=abc; c=d",
        b"__Host-session=a; __Host-session=b",
        b"theme=dark; __Host-session=; x=\xff",
    ];
    run(corpus, cookie);
}

#[test]
fn any_configuration_of_a_cookie_is_refused_or_written_as_given() {
    let corpus: &[&[u8]] = &[
        b"__Host-session\n/\n",
        b"__Secure-shop\n/shop\nshop.example",
        b"session\n/a/b\na.b.example",
        b"__Host-Http-x\n/\n",
    ];
    run(corpus, policy);
}

#[test]
fn any_text_of_a_form_is_a_path_of_this_site_or_refused() {
    run(&[b"/", b"/a/b?c=d", b"/a#b", b"/%2F%2Fevil.example"], local_url);
}

fn run(corpus: &[&[u8]], accepts: fn(&[u8]) -> bool) {
    let runs = std::env::var("FUZZ_RUNS").map_or(1_000_000, |runs| runs.parse().unwrap());
    let mut choices = Choices::new();
    let mut accepted = 0_u32;
    assert!(corpus.iter().all(|valid| accepts(valid)), "the corpus is valid");
    let mut input = Shown(Vec::new());
    for number in 0..runs {
        if number % 500_000 == 499_999 {
            println!("{} of {runs} tried", number + 1);
        }
        input.0 = corpus[choices.below(corpus.len())].to_vec();
        for _ in 0..=choices.below(3) {
            mutate(&mut input.0, &mut choices);
        }
        accepted += u32::from(accepts(&input.0));
    }
    println!("{accepted} of {runs} accepted");
    let accepted = f64::from(accepted) / f64::from(runs);
    assert!(accepted > 0.001, "next to all inputs were refused: the test is blunt");
    assert!(accepted < 0.99, "next to all inputs were accepted: the test is blunt");
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

fn mutate(input: &mut Vec<u8>, choices: &mut Choices) {
    let at = choices.below(input.len() + 1);
    let end = at + choices.below((input.len() - at).min(16) + 1);
    let piece = PIECES[choices.below(PIECES.len())];
    match choices.below(5) {
        0 if at < input.len() => input[at] ^= 1 << choices.below(8),
        1 => {
            input.splice(at..at, piece.iter().copied());
        }
        2 => {
            input.splice(at..end, piece.iter().copied());
        }
        3 => {
            input.drain(at..end);
        }
        _ => {
            let repeated = input[at..end].to_vec();
            input.splice(at..at, repeated);
        }
    }
}

/// A small generator (xorshift64*), seeded by `FUZZ_SEED` or freshly. The seed is printed.
struct Choices(u64);

impl Choices {
    fn new() -> Self {
        let seed = std::env::var("FUZZ_SEED").map_or_else(
            |_| {
                let mut bytes = [0; 8];
                OsRandom.fill(&mut bytes).unwrap();
                u64::from_le_bytes(bytes)
            },
            |text| text.parse().expect("FUZZ_SEED is a number"),
        );
        println!("repeat with FUZZ_SEED={seed}");
        Self(seed.max(1))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let next = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(next).unwrap() % end.max(1)
    }
}
