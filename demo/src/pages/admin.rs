//! For administrators: every session, or those of one user, a page at a time.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use serde::Deserialize;
use session_core::{Count, Cursor, PageRequest, SessionId, SessionSummary};
use session_tower::axum::{Session, User};

use super::devices::Chosen;
use super::page::note;
use super::{Answer, Page, Shop, Trouble, render, see};
use crate::when::When;

const PER_PAGE: u16 = 20;

/// Who ends other people's sessions must have signed in not longer ago than this.
const FRESH: Duration = Duration::from_secs(10 * 60);

#[derive(Template)]
#[template(path = "admin.html")]
struct Admin {
    page: Page,
    count: String,
    query: String,
    sessions: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: SessionId,
    user: Option<String>,
    created: When,
    idle: When,
    absolute: When,
}

#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
}

pub(super) async fn show(
    State(shop): State<Shop>,
    session: Session,
    _: User,
    Query(search): Query<Search>,
) -> Answer {
    let sessions = shop.0.site.sessions();
    let mut request = PageRequest::first(PER_PAGE);
    if !search.after.is_empty() {
        let after = Cursor::parse(&search.after).map_err(|_| Trouble::BAD_REQUEST)?;
        request = request.after(after);
    }
    let query = search.q.trim().to_owned();
    let found = if query.is_empty() {
        sessions.scan(&request).await.map_err(Trouble::of_store)?
    } else {
        let subject = sessions.subject(&query).map_err(|_| Trouble::BAD_REQUEST)?;
        sessions.list(&subject, &request).await.map_err(Trouble::of_session)?
    };
    let count = match sessions.count().await.map_err(Trouble::of_store)? {
        Count::Exact(number) => format!("{number} live."),
        Count::Estimate(number) => format!("About {number} live."),
    };
    let now = sessions.now();
    let row = |session: SessionSummary| Row {
        id: session.id,
        user: session.subject.map(|subject| subject.name().to_owned()),
        created: When::new(session.created_at, now),
        idle: When::new(session.expires_at, now),
        absolute: When::new(session.deadline, now),
    };
    render(&Admin {
        page: Page::new("admin", &shop, &session).await?,
        count,
        query,
        sessions: found.items.into_iter().map(row).collect(),
        next: found.next.map(|next| next.to_string()),
    })
}

pub(super) async fn end(
    State(shop): State<Shop>,
    session: Session,
    _: User,
    Form(form): Form<Chosen>,
) -> Answer {
    session.check_csrf(form.csrf()).await?;
    if !session.is_fresh(FRESH).await? {
        note(&session, "Ending sessions of others needs a recent sign-in.").await?;
        return Ok(see("/login?redirect_to=/admin"));
    }
    let id = form.id()?;
    if session.info().await?.id == Some(id) {
        session.logout().await?;
        return Ok(see("/"));
    }
    let ended = shop.0.site.sessions().destroy_by_id(&id).await.map_err(Trouble::of_session)?;
    note(&session, if ended { "That session is over." } else { "That session was over already." })
        .await?;
    Ok(see("/admin"))
}
