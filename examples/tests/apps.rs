//! The same application on each framework answers the same.

mod example;
mod story;

#[test]
fn axum() {
    story::is_told_by(&example::path("axum"));
}

#[test]
fn actix() {
    story::is_told_by(&example::path("actix"));
}

#[test]
fn hyper_without_middleware() {
    story::is_told_by(&example::path("hyper"));
}
