//! The pages of the shop. Each changes the session through its handle only, and cleans up nothing.

mod account;
mod admin;
mod cart;
mod devices;
mod home;
mod login;
mod page;
mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use session_http::Site;
use session_tower::SessionLayer;

use page::Page;
use trouble::Trouble;

/// What every page knows.
#[derive(Clone)]
struct Shop(Arc<Inner>);

struct Inner {
    site: Site,
    /// Where sessions are kept, in words.
    store: &'static str,
}

type Answer = Result<Response, Trouble>;

/// A form with nothing but the proof that it is ours.
#[derive(Deserialize)]
struct Own {
    csrf: String,
}

pub(crate) fn app(site: Site, store: &'static str) -> Router {
    let shop = Shop(Arc::new(Inner { site: site.clone(), store }));
    Router::new()
        .route("/", get(home::show))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/account", get(account::show))
        .route("/rotate", post(account::rotate))
        .route("/cart", get(cart::show))
        .route("/cart/add", post(cart::add))
        .route("/cart/remove", post(cart::remove))
        .route("/devices", get(devices::show))
        .route("/devices/end", post(devices::end))
        .route("/devices/others", post(devices::end_others))
        .route("/devices/everywhere", post(devices::end_everywhere))
        .route("/admin", get(admin::show))
        .route("/admin/end", post(admin::end))
        .fallback(trouble::not_found)
        .with_state(shop)
        .layer(SessionLayer::new(site))
        // Outside of the layer: these ask for no session.
        .route("/style.css", get(style))
        .route("/icon.svg", get(icon))
        .layer(from_fn(safe_headers))
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../static/style.css"))
}

async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../../static/icon.svg"))
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")], content)
        .into_response()
}

/// No script, no foreign content, no frame around us.
async fn safe_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn render(template: &impl askama::Template) -> Answer {
    let html = template.render().map_err(Trouble::of_template)?;
    Ok(Html(html).into_response())
}

fn see(url: &str) -> Response {
    Redirect::to(url).into_response()
}
