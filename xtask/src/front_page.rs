//! The quick starts of the front page are those of the crates, which compile and run.

const FRONT_PAGE: &str = include_str!("../../README.md");
const CRATES: &[&str] =
    &[include_str!("../../session-tower/README.md"), include_str!("../../session-actix/README.md")];

/// The first example of a README, as its reader sees it.
fn first_example(readme: &str) -> String {
    let (_, rest) = readme.split_once("```rust\n").expect("there is an example");
    let (code, _) = rest.split_once("```").expect("it ends");
    let shown = code.lines().filter(|line| !line.starts_with("# ") && *line != "#");
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_quick_starts_are_those_of_the_crates() {
    for readme in CRATES {
        let example = first_example(readme);
        assert!(example.lines().count() > 10, "{example}");
        assert!(FRONT_PAGE.contains(&example), "not on the front page:\n{example}");
    }
}
