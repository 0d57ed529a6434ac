//! Making and checking tokens.

use std::hint::black_box;
use std::time::Instant;

use session_core::{BoxError, OsRandom, Realm, SecretHash, SessionToken};

use crate::options::Settings;
use crate::report::{Bound, TokenTime};
use crate::stats::Spread;

const MAKE_GOAL: f64 = 700.0;
const CHECK_GOAL: f64 = 300.0;

/// Nanoseconds for a new token, and for the check of one that a client sent.
pub(crate) fn measure(settings: &Settings) -> Result<Vec<TokenTime>, BoxError> {
    eprintln!("tokens");
    let realm = Realm::default();
    let known = SessionToken::random(&OsRandom)?;
    let (text, hash) = (known.encode(), SecretHash::of(&known, &realm));
    let make = || {
        let token = SessionToken::random(&OsRandom)?;
        black_box((token.encode(), SecretHash::of(&token, &realm)));
        Ok(())
    };
    let check = || {
        let token = SessionToken::parse(black_box(text.as_bytes()))?;
        let same = SecretHash::of(&token, &realm) == *black_box(&hash);
        if same { Ok(()) } else { Err("a token was refused".into()) }
    };
    Ok(vec![
        time("make: random bytes, text, hash", MAKE_GOAL, settings, make)?,
        time("check: read, hash, compare", CHECK_GOAL, settings, check)?,
    ])
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn time(
    what: &'static str,
    goal: f64,
    settings: &Settings,
    mut step: impl FnMut() -> Result<(), BoxError>,
) -> Result<TokenTime, BoxError> {
    let mut rounds = Vec::new();
    // The first round only warms up.
    for round in 0..=settings.options.rounds {
        let start = Instant::now();
        for _ in 0..settings.tokens {
            step()?;
        }
        if round > 0 {
            rounds.push(start.elapsed().as_secs_f64() * 1e9 / settings.tokens as f64);
        }
    }
    let nanoseconds = Spread::of(rounds).ok_or("there was no round")?;
    let goal = Bound::at_most(goal, nanoseconds.median);
    Ok(TokenTime { what, nanoseconds, goal })
}
