//! The same application as in the other examples answers the same.

#[path = "../../tests/story/mod.rs"]
mod story;

#[test]
fn salvo() {
    story::is_told_by(env!("CARGO_BIN_EXE_salvo-app").as_ref());
}
