//! The same application on each framework answers the same.

mod story;

/// The example that cargo built beside this test.
fn is_told_by(name: &str) {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(2).expect("the target folder");
    story::is_told_by(
        &target.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)),
    );
}

#[test]
fn axum() {
    is_told_by("axum");
}

#[test]
fn actix() {
    is_told_by("actix");
}

#[test]
fn hyper_without_middleware() {
    is_told_by("hyper");
}
