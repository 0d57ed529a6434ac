//! The small application, on Salvo, whose middleware may be a layer of tower: `cargo run` in this folder.

use std::sync::Arc;

use salvo::prelude::*;
use session_core::{BoxError, Sessions};
use session_memory::MemoryStore;
use session_tower::{CookiePolicy, SessionHandle, SessionLayer, Site};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build()?;
    let site = Site::new(&sessions).cookie(CookiePolicy::insecure_development());
    let app = Router::new()
        .hoop(SessionLayer::new(site).compat())
        .get(front)
        .push(Router::with_path("account").get(account))
        .push(Router::with_path("sign-in").post(sign_in))
        .push(Router::with_path("sign-out").post(sign_out));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::new(address).try_bind().await?;
    println!("http://{}", listener.local_addr()?);
    Server::new(listener).serve(app).await;
    Ok(())
}

/// The layer puts it there.
fn session(request: &Request) -> Result<SessionHandle, StatusError> {
    let session = request.extensions().get().cloned();
    session.ok_or_else(|| StatusError::internal_server_error().brief("no session layer"))
}

/// A store that is down is an error, and never "no session".
fn trouble(error: session_tower::Error) -> StatusError {
    eprintln!("{error}");
    StatusError::service_unavailable()
}

#[handler]
async fn front(request: &mut Request) -> Result<String, StatusError> {
    let session = session(request)?;
    let more = |visits: Option<u64>| visits.unwrap_or(0) + 1;
    session.alter("visits", more).await.map_err(trouble)?;
    let visits: u64 = session.get("visits").await.map_err(trouble)?.unwrap_or(0);
    let user = session.user().await.map_err(trouble)?;
    Ok(format!("visit {visits} of {}\n", user.as_deref().unwrap_or("a visitor")))
}

#[handler]
async fn account(request: &mut Request) -> Result<String, StatusError> {
    let user = session(request)?.user().await.map_err(trouble)?;
    let name = user.ok_or_else(StatusError::unauthorized)?;
    Ok(format!("the account of {name}\n"))
}

#[handler]
async fn sign_in(request: &mut Request) -> Result<Redirect, StatusError> {
    let name: String = request.form("name").await.ok_or_else(StatusError::bad_request)?;
    // Here you check the password.
    session(request)?.login_keeping(&name, &["visits"]).await.map_err(trouble)?;
    Ok(Redirect::other("/"))
}

#[handler]
async fn sign_out(request: &mut Request) -> Result<Redirect, StatusError> {
    session(request)?.logout().await.map_err(trouble)?;
    Ok(Redirect::other("/"))
}
