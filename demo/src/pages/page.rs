//! What stands on every page around its content.

use std::collections::BTreeMap;

use session_http::SessionHandle;

use super::cart::CART;
use super::{Shop, Trouble};
use crate::when::When;

pub(super) struct Page {
    /// Which entry of the menu it belongs to.
    pub(super) here: &'static str,
    pub(super) user: Option<String>,
    pub(super) csrf: String,
    pub(super) notes: Vec<String>,
    pub(super) cart_size: u64,
    pub(super) life: Option<Life>,
    pub(super) session_id: String,
    pub(super) store: &'static str,
}

/// When the session ends.
pub(super) struct Life {
    pub(super) idle: When,
    pub(super) absolute: When,
}

impl Page {
    pub(super) async fn new(
        here: &'static str,
        shop: &Shop,
        session: &SessionHandle,
    ) -> Result<Self, Trouble> {
        let info = session.info().await?;
        let now = shop.0.site.sessions().now();
        let cart: BTreeMap<String, u64> = session.get(CART).await?.unwrap_or_default();
        let life = info.expires_at.zip(info.deadline).map(|(idle, absolute)| Life {
            idle: When::new(idle, now),
            absolute: When::new(absolute, now),
        });
        Ok(Self {
            here,
            user: info.user().map(str::to_owned),
            csrf: session.csrf_token().await?,
            notes: session.take_flash(NOTE).await?,
            cart_size: cart.values().sum(),
            life,
            session_id: info.id.map_or_else(|| "none".to_owned(), |id| id.to_string()),
            store: shop.0.store,
        })
    }
}

/// The key of messages for the next page.
const NOTE: &str = "note";

/// Leaves a message for the next page.
pub(super) async fn note(session: &SessionHandle, text: &str) -> Result<(), Trouble> {
    Ok(session.flash(NOTE, text).await?)
}
