//! The cart: two windows change it at once, and nothing is lost.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::State;
use serde::Deserialize;
use session_tower::axum::Session;

use super::page::note;
use super::{Answer, Page, Shop, Trouble, render, see};

/// The key of the cart in the session: how many of each product.
pub(super) const CART: &str = "cart";

type Cart = BTreeMap<String, u64>;

const PRODUCTS: [&str; 6] = ["Tea", "Bread", "Cheese", "Apples", "Honey", "Olives"];

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage {
    page: Page,
    products: &'static [&'static str],
    items: Cart,
}

pub(super) async fn show(State(shop): State<Shop>, session: Session) -> Answer {
    let items = session.get(CART).await?.unwrap_or_default();
    render(&CartPage {
        page: Page::new("cart", &shop, &session).await?,
        products: &PRODUCTS,
        items,
    })
}

#[derive(Deserialize)]
pub(super) struct Choice {
    csrf: String,
    item: String,
}

impl Choice {
    /// The product, if it is one of ours: nothing that a client sends goes into the session as it came.
    fn product(&self) -> Result<&'static str, Trouble> {
        PRODUCTS.into_iter().find(|product| *product == self.item).ok_or(Trouble::BAD_REQUEST)
    }
}

pub(super) async fn add(session: Session, Form(choice): Form<Choice>) -> Answer {
    session.check_csrf(&choice.csrf).await?;
    let product = choice.product()?;
    // Run again on the newer cart if another window commits first.
    session
        .alter(CART, move |cart: Option<Cart>| {
            let mut cart = cart.unwrap_or_default();
            let number = cart.entry(product.to_owned()).or_default();
            *number = number.saturating_add(1);
            cart
        })
        .await?;
    note(&session, &format!("{product} is in your cart.")).await?;
    Ok(see("/cart"))
}

pub(super) async fn remove(session: Session, Form(choice): Form<Choice>) -> Answer {
    session.check_csrf(&choice.csrf).await?;
    let product = choice.product()?;
    session
        .alter(CART, move |cart: Option<Cart>| {
            let mut cart = cart.unwrap_or_default();
            cart.remove(product);
            cart
        })
        .await?;
    Ok(see("/cart"))
}
