//! The front page.

use askama::Template;
use axum::extract::State;

use super::{Answer, Page, Shop, render};
use session_tower::axum::Session;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    page: Page,
}

pub(super) async fn show(State(shop): State<Shop>, session: Session) -> Answer {
    render(&Home { page: Page::new("home", &shop, &session).await? })
}
