//! What tests print of their failures, kept to be said again at the end, where it is looked for.

use std::io::{self, BufRead as _, BufReader, Read, Write};

/// More than this of one run is not repeated.
const MOST: usize = 12_000;

/// Passes on what is printed, and keeps the parts about tests that failed: from `failures:` to the line with the
/// result.
pub(crate) fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<String> {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    let (mut kept, mut is_about_failures) = (String::new(), false);
    while from.read_until(b'\n', &mut line)? > 0 {
        // When nobody reads us any more, the exit code still tells the result.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        let text = String::from_utf8_lossy(&line);
        is_about_failures |= text.trim_end() == "failures:";
        if is_about_failures && kept.len() + text.len() <= MOST {
            kept += &text;
        }
        is_about_failures &= !text.starts_with("test result:");
        line.clear();
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::pass_on;

    const RUN: &str = "test a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nbecause\n\n\
        failures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed\n";

    #[test]
    fn failures_are_kept_and_all_is_passed_on() {
        let printed = format!("test result: ok. 3 passed\n{RUN}more\n{RUN}");
        let mut passed_on = Vec::new();
        let kept = pass_on(printed.as_bytes(), &mut passed_on).unwrap();
        assert_eq!(passed_on, printed.as_bytes());
        assert_eq!(kept, RUN[RUN.find("failures").unwrap()..].repeat(2));
    }

    #[test]
    fn without_failures_nothing_is_kept_and_of_many_only_the_first() {
        assert_eq!(pass_on(&b"test result: ok. 3 passed\n\xff\n"[..], Vec::new()).unwrap(), "");
        let kept = pass_on(RUN.repeat(1_000).as_bytes(), Vec::new()).unwrap();
        assert!(kept.len() > 10_000 && kept.len() <= 12_000, "{}", kept.len());
    }
}
