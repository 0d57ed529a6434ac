//! A page for those who are signed in.

use askama::Template;
use axum::Form;
use axum::extract::State;
use session_tower::axum::{Session, User};

use super::page::note;
use super::{Answer, Own, Page, Shop, render, see};
use crate::when::When;

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    page: Page,
    name: String,
    signed_in: When,
    visits: u64,
}

pub(super) async fn show(State(shop): State<Shop>, session: Session, User(name): User) -> Answer {
    session.alter("visits", |visits: Option<u64>| visits.unwrap_or(0).saturating_add(1)).await?;
    let now = shop.0.site.sessions().now();
    let authentication = session.info().await?.authentication;
    render(&Account {
        page: Page::new("account", &shop, &session).await?,
        name,
        signed_in: When::new(authentication.map_or(now, |it| it.at), now),
        visits: session.get("visits").await?.unwrap_or(0),
    })
}

pub(super) async fn rotate(session: Session, Form(form): Form<Own>) -> Answer {
    session.check_csrf(&form.csrf).await?;
    session.rotate().await?;
    note(&session, "Your cookie has a new secret; the id and all data stay.").await?;
    Ok(see("/account"))
}
