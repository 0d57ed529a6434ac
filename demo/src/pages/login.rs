//! Signing in and out.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use session_core::SessionError;
use session_http::{Error, LocalUrl};
use session_tower::axum::Session;

use super::cart::CART;
use super::page::note;
use super::{Answer, Own, Page, Shop, render, see};

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    page: Page,
    redirect_to: String,
    name: String,
    error: Option<&'static str>,
    /// Whether somebody is signed in already, and is asked again.
    again: bool,
}

#[derive(Deserialize)]
pub(super) struct Target {
    redirect_to: Option<String>,
}

pub(super) async fn show(
    State(shop): State<Shop>,
    session: Session,
    Query(target): Query<Target>,
) -> Answer {
    let page = Page::new("login", &shop, &session).await?;
    let redirect_to = LocalUrl::or_root(target.redirect_to.as_deref()).to_string();
    let name = page.user.clone().unwrap_or_default();
    render(&Login { again: page.user.is_some(), page, redirect_to, name, error: None })
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    csrf: String,
    name: String,
    redirect_to: Option<String>,
}

pub(super) async fn log_in(
    State(shop): State<Shop>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Answer {
    session.check_csrf(&form.csrf).await?;
    let name = form.name.trim();
    match session.login_keeping(name, &[CART]).await {
        Ok(()) => {}
        Err(Error::Session(error)) if matches!(*error, SessionError::InvalidSubject(_)) => {
            let page = Page::new("login", &shop, &session).await?;
            let form = Login {
                again: page.user.is_some(),
                page,
                redirect_to: LocalUrl::or_root(form.redirect_to.as_deref()).to_string(),
                name: name.to_owned(),
                error: Some("Please enter a name of 1 to 60 characters."),
            };
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&form)?).into_response());
        }
        Err(error) => return Err(error.into()),
    }
    note(&session, &format!("Welcome, {name}.")).await?;
    Ok(see(LocalUrl::or_root(form.redirect_to.as_deref()).as_str()))
}

pub(super) async fn log_out(session: Session, Form(form): Form<Own>) -> Answer {
    session.check_csrf(&form.csrf).await?;
    session.logout().await?;
    Ok(see("/"))
}
