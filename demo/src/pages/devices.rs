//! "Your devices": look at one's sessions, and end them.

use askama::Template;
use axum::Form;
use axum::extract::State;
use serde::Deserialize;
use session_core::SessionId;
use session_tower::axum::{Session, User};

use super::page::note;
use super::{Answer, Own, Page, Shop, Trouble, render, see};
use crate::when::When;

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    page: Page,
    devices: Vec<Device>,
}

struct Device {
    id: SessionId,
    is_current: bool,
    signed_in: When,
    last_used: When,
    ends: When,
}

pub(super) async fn show(State(shop): State<Shop>, session: Session, _: User) -> Answer {
    let now = shop.0.site.sessions().now();
    let devices = session.devices().await?.into_iter().map(|device| Device {
        id: device.id,
        is_current: device.is_current,
        signed_in: When::new(device.authentication.map_or(device.created_at, |it| it.at), now),
        last_used: When::new(device.last_used, now),
        ends: When::new(device.expires_at, now),
    });
    let devices = devices.collect();
    render(&Devices { page: Page::new("devices", &shop, &session).await?, devices })
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    csrf: String,
    id: String,
}

impl Chosen {
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    pub(super) fn id(&self) -> Result<SessionId, Trouble> {
        self.id.parse().map_err(|_| Trouble::BAD_REQUEST)
    }
}

pub(super) async fn end(session: Session, Form(form): Form<Chosen>) -> Answer {
    session.check_csrf(form.csrf()).await?;
    let id = form.id()?;
    let is_own = session.info().await?.id == Some(id);
    let ended = session.log_out(&id).await?;
    if is_own {
        return Ok(see("/"));
    }
    note(&session, if ended { "That session is over." } else { "That session was over already." })
        .await?;
    Ok(see("/devices"))
}

pub(super) async fn end_others(session: Session, Form(form): Form<Own>) -> Answer {
    session.check_csrf(&form.csrf).await?;
    let ended = session.log_out_others().await?;
    note(&session, &format!("Sessions ended: {ended}. This one has a new secret.")).await?;
    Ok(see("/devices"))
}

pub(super) async fn end_everywhere(session: Session, Form(form): Form<Own>) -> Answer {
    session.check_csrf(&form.csrf).await?;
    session.log_out_everywhere().await?;
    Ok(see("/"))
}
