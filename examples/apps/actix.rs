//! The small application, on actix-web: `cargo run --example actix`.

use std::sync::Arc;

use actix_web::web::{Form, Redirect, get, post};
use actix_web::{App, HttpServer};
use examples::{Name, address};
use session_actix::{CookiePolicy, Result, Session, SessionMiddleware, Site, User};
use session_core::{BoxError, Sessions};
use session_memory::MemoryStore;

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
    let site = Site::new(&sessions).cookie(CookiePolicy::insecure_development());
    let middleware = SessionMiddleware::new(site);
    let server = HttpServer::new(move || {
        App::new()
            .route("/", get().to(front))
            .route("/account", get().to(account))
            .route("/sign-in", post().to(sign_in))
            .route("/sign-out", post().to(sign_out))
            .wrap(middleware.clone())
    });
    let server = server.bind(address())?;
    println!("http://{}", server.addrs()[0]);
    server.run().await?;
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

async fn sign_in(session: Session, form: Form<Name>) -> Result<Redirect> {
    // Here you check the password.
    session.login_keeping(&form.name, &["visits"]).await?;
    Ok(Redirect::to("/").see_other())
}

async fn sign_out(session: Session) -> Result<Redirect> {
    session.logout().await?;
    Ok(Redirect::to("/").see_other())
}
