//! The small application, on axum: `cargo run --example axum`.

use std::sync::Arc;

use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router, serve};
use examples::{Name, address};
use session_core::{BoxError, Sessions};
use session_memory::MemoryStore;
use session_tower::axum::{Result, Session, User};
use session_tower::{CookiePolicy, SessionLayer, Site};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
    let site = Site::new(&sessions).cookie(CookiePolicy::insecure_development());
    let app = Router::new()
        .route("/", get(front))
        .route("/account", get(account))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(SessionLayer::new(site));
    let listener = TcpListener::bind(address()).await?;
    println!("http://{}", listener.local_addr()?);
    serve(listener, app).await?;
    Ok(())
}

async fn front(session: Session) -> Result<String> {
    session.alter("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    let visits: u64 = session.get("visits").await?.unwrap_or(0);
    let user = session.user().await?.unwrap_or_else(|| "a visitor".to_owned());
    Ok(format!("visit {visits} of {user}\n"))
}

async fn account(User(name): User) -> String {
    format!("the account of {name}\n")
}

async fn sign_in(session: Session, Form(Name { name }): Form<Name>) -> Result<Redirect> {
    // Here you check the password.
    session.login_keeping(&name, &["visits"]).await?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<Redirect> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}
