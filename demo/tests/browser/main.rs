//! The demo as a person sees it: in real Chromium.

mod chromium;
mod shop;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::cookies::Cookie;
use fantoccini::{Client, Locator};

use chromium::Chromium;
use shop::Shop;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Generous, because test machines are busy.
const PATIENCE: Duration = Duration::from_secs(60);

async fn sign_in(browser: &Client, shop: &Shop, name: &str) -> Result {
    browser.goto(&shop.url("/login")).await?;
    browser.find(Locator::Id("name")).await?.send_keys(name).await?;
    press(browser, "#sign-in").await
}

/// Presses a button and waits for the page that it leads to.
async fn press(browser: &Client, button: &str) -> Result {
    let button = browser.wait().at_most(PATIENCE).for_element(Locator::Css(button)).await?;
    let page = browser.find(Locator::Css("html")).await?;
    button.click().await?;
    // The old page is gone when its root is no longer part of a document.
    let deadline = Instant::now() + PATIENCE;
    while page.tag_name().await.is_ok() {
        if Instant::now() > deadline {
            return Err("the button leads nowhere".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    browser.wait().at_most(PATIENCE).for_element(Locator::Css("main")).await?;
    Ok(())
}

async fn path(browser: &Client) -> Result<String> {
    Ok(browser.current_url().await?.path().to_owned())
}

async fn text(browser: &Client, selector: &str) -> Result<String> {
    Ok(browser.find(Locator::Css(selector)).await?.text().await?)
}

async fn cookie(browser: &Client, shop: &Shop) -> Result<Cookie<'static>> {
    Ok(browser.get_named_cookie(shop.cookie_name()).await?)
}

/// Where screenshots are kept, for a person to look at.
fn screenshots() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let target = test.ancestors().nth(3).unwrap_or(&test).to_owned();
    target.join("demo-screenshots")
}

async fn screenshot(browser: &Client, name: &str) -> Result {
    std::fs::create_dir_all(screenshots())?;
    std::fs::write(screenshots().join(format!("{name}.png")), browser.screenshot().await?)?;
    Ok(())
}

#[tokio::test]
async fn signing_in_changes_the_cookie_and_the_old_one_opens_nothing() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    browser.goto(&shop.url("/")).await?;
    assert!(browser.get_all_cookies().await?.is_empty(), "looking around stores nothing");

    browser.goto(&shop.url("/cart")).await?;
    press(&browser, "button[value=Tea]").await?;
    let before = cookie(&browser, &shop).await?.value().to_owned();
    let id = text(&browser, "#session-id").await?;

    // The page that needs a user sends to the sign-in, and that back.
    browser.goto(&shop.url("/account")).await?;
    assert_eq!(path(&browser).await?, "/login");
    browser.find(Locator::Id("name")).await?.send_keys("Ada").await?;
    press(&browser, "#sign-in").await?;
    assert_eq!(path(&browser).await?, "/account");
    let after = cookie(&browser, &shop).await?.value().to_owned();
    assert_ne!(before, after, "a login changes the secret");
    assert_eq!(text(&browser, "#session-id").await?, id, "and keeps the public id");
    assert_eq!(text(&browser, ".note").await?, "Welcome, Ada.");
    browser.goto(&shop.url("/cart")).await?;
    assert_eq!(text(&browser, "td[data-item=Tea]").await?, "1", "the cart is carried over");

    assert!(shop.is_signed_in(&after)?);
    assert!(!shop.is_signed_in(&before)?, "the old cookie opens nothing");
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn two_windows_fill_one_cart_and_lose_nothing() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    let first = browser.window().await?;
    browser.goto(&shop.url("/cart")).await?;
    let second = browser.new_window(false).await?.handle;
    browser.switch_to_window(second.clone()).await?;
    browser.goto(&shop.url("/cart")).await?;

    // Each window adds to the cart that it showed before the other one added to it.
    for (window, item) in [(&first, "Tea"), (&second, "Bread"), (&first, "Honey"), (&second, "Tea")]
    {
        browser.switch_to_window(window.clone()).await?;
        press(&browser, &format!("button[value={item}]")).await?;
    }
    browser.goto(&shop.url("/cart")).await?;
    for (item, number) in [("Tea", "2"), ("Bread", "1"), ("Honey", "1")] {
        assert_eq!(text(&browser, &format!("td[data-item={item}]")).await?, number, "{item}");
    }
    screenshot(&browser, "cart").await?;
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn another_browser_is_signed_out_from_the_devices_page() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let (laptop, phone) = (chromium.browser().await?, chromium.browser().await?);
    sign_in(&laptop, &shop, "Ada").await?;
    sign_in(&phone, &shop, "Ada").await?;
    let stolen = cookie(&laptop, &shop).await?.value().to_owned();

    laptop.goto(&shop.url("/devices")).await?;
    let devices = laptop.find_all(Locator::Css(".devices li")).await?;
    assert_eq!(devices.len(), 2);
    assert!(
        devices[0].text().await?.contains("This browser"),
        "the current one is marked, and first"
    );
    laptop.set_window_size(1100, 800).await?;
    screenshot(&laptop, "devices").await?;
    laptop.set_window_size(500, 900).await?;
    let wide = "return document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(laptop.execute(wide, vec![]).await?, false, "nothing is cut off on a phone");
    screenshot(&laptop, "devices-narrow").await?;

    press(&laptop, ".devices button.danger").await?;
    assert_eq!(text(&laptop, ".note").await?, "That session is over.");
    phone.goto(&shop.url("/account")).await?;
    assert_eq!(path(&phone).await?, "/login", "the other browser is signed out");

    // All the others at once: this one stays, with a new secret.
    sign_in(&phone, &shop, "Ada").await?;
    laptop.goto(&shop.url("/devices")).await?;
    press(&laptop, "#end-others").await?;
    assert_eq!(laptop.find_all(Locator::Css(".devices li")).await?.len(), 1);
    assert_ne!(
        cookie(&laptop, &shop).await?.value(),
        stolen,
        "a stolen cookie dies with the others"
    );
    phone.goto(&shop.url("/account")).await?;
    assert_eq!(path(&phone).await?, "/login");

    press(&laptop, "#end-everywhere").await?;
    assert!(laptop.get_all_cookies().await?.is_empty(), "the cookie is removed by who ended it");
    laptop.close().await?;
    phone.close().await?;
    Ok(())
}

#[tokio::test]
async fn after_signing_out_the_button_back_shows_nothing() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    browser.goto(&shop.url("/account")).await?;
    assert!(text(&browser, "main").await?.contains("Ada"));
    press(&browser, "#sign-out").await?;
    assert!(browser.get_all_cookies().await?.is_empty());

    browser.back().await?;
    assert_eq!(path(&browser).await?, "/login", "the page is asked for again");
    assert!(!browser.source().await?.contains("Ada"));
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_session_ends_at_its_absolute_deadline_however_used() -> Result {
    let (shop, chromium) = (Shop::start(&["--idle", "5", "--absolute", "5"])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        browser.goto(&shop.url("/account")).await?;
        if path(&browser).await? == "/login" {
            break;
        }
        assert!(Instant::now() < deadline, "still signed in");
    }
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_lives_on() -> Result {
    let (shop, chromium) =
        (Shop::start(&["--idle", "8", "--absolute", "600"])?, Chromium::start()?);
    let (idle, busy) = (chromium.browser().await?, chromium.browser().await?);
    sign_in(&idle, &shop, "Ada").await?;
    let id = text(&idle, "#session-id").await?;
    sign_in(&busy, &shop, "Bob").await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        busy.goto(&shop.url("/admin")).await?;
        assert_eq!(path(&busy).await?, "/admin", "the used session lives on");
        if !text(&busy, "main").await?.contains(&id) {
            break;
        }
        assert!(Instant::now() < deadline, "the unused session is still there");
    }
    idle.goto(&shop.url("/account")).await?;
    assert_eq!(path(&idle).await?, "/login");
    idle.close().await?;
    busy.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_administrator_finds_and_ends_sessions_page_by_page() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    let tokens =
        (0..25).map(|number| shop.sign_in(&format!("user{number}"))).collect::<Result<Vec<_>>>()?;
    sign_in(&browser, &shop, "Root").await?;
    browser.goto(&shop.url("/admin")).await?;
    assert!(
        text(&browser, ".lead").await?.contains("26 live"),
        "{}",
        text(&browser, ".lead").await?
    );
    assert_eq!(browser.find_all(Locator::Css("tbody tr")).await?.len(), 20);
    screenshot(&browser, "admin").await?;
    press(&browser, "#next").await?;
    assert_eq!(browser.find_all(Locator::Css("tbody tr")).await?.len(), 6);

    browser.goto(&shop.url("/admin?q=user7")).await?;
    assert_eq!(browser.find_all(Locator::Css("tbody tr")).await?.len(), 1);
    assert!(shop.is_signed_in(&tokens[7])?);
    press(&browser, "tbody button").await?;
    assert!(!shop.is_signed_in(&tokens[7])?, "ended by the administrator");
    assert!(shop.is_signed_in(&tokens[8])?);
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn the_browser_sees_the_attributes_of_development_over_http() -> Result {
    let (shop, chromium) = (Shop::start(&[])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    let cookie = cookie(&browser, &shop).await?;
    assert_eq!(cookie.name(), "session");
    assert_attributes(&cookie, false);
    browser.close().await?;
    Ok(())
}

#[tokio::test]
async fn the_browser_sees_the_attributes_of_production_over_tls() -> Result {
    let (shop, chromium) = (Shop::start(&["--tls"])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    let cookie = cookie(&browser, &shop).await?;
    assert_eq!(cookie.name(), "__Host-session");
    assert_attributes(&cookie, true);
    browser.goto(&shop.url("/account")).await?;
    assert_eq!(path(&browser).await?, "/account");
    press(&browser, "#sign-out").await?;
    assert!(browser.get_all_cookies().await?.is_empty(), "the removal fits the cookie");
    browser.close().await?;
    Ok(())
}

#[track_caller]
fn assert_attributes(cookie: &Cookie<'_>, secure: bool) {
    assert_eq!(cookie.secure().unwrap_or(false), secure);
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.same_site().map(|it| it.to_string()).as_deref(), Some("Lax"));
    assert_eq!(cookie.path(), Some("/"));
    assert!(cookie.expires().is_none(), "until the browser is closed");
    assert_eq!(cookie.value().len(), 64);
}

#[test]
fn every_page_works_without_scripts_and_says_what_it_is() -> Result {
    let shop = Shop::start(&[])?;
    let token = shop.sign_in("Ada")?;
    for page in ["/", "/login", "/cart", "/account", "/devices", "/admin"] {
        let response = shop.get(page, Some(&token))?;
        assert!(response.starts_with("HTTP/1.1 200"), "{page}: {response}");
        let policy = response.lines().find(|line| line.starts_with("content-security-policy: "));
        assert!(policy.is_some_and(|policy| policy.contains("default-src 'none'")), "{page}");
        assert!(response.contains("<html lang=\"en\">") && response.contains("<h1>"), "{page}");
        assert!(response.contains("cache-control: private, no-store"), "{page}");
        assert!(!response.contains("<script") && !response.contains("http://"), "{page}");
        assert!(!response.contains(&token), "{page} shows the token");
    }
    Ok(())
}

#[test]
#[cfg(unix)]
fn ctrl_c_finishes_what_is_in_flight() -> Result {
    let mut shop = Shop::start(&[])?;
    let mut slow = shop.begin_slow_sign_in("Ada")?;
    shop.interrupt()?;
    let response = slow.finish()?;
    assert!(response.starts_with("HTTP/1.1 303"), "{response}");
    assert!(shop.wait()?.ends_with("Stopped.\n"));
    Ok(())
}

/// On a server that the tests start: what is stored there is found again, and gone when it was ended.
macro_rules! on_servers {
    ($($name:ident, $feature:literal, $endpoint:ident;)*) => {$(
        #[tokio::test]
        #[cfg(feature = $feature)]
        async fn $name() -> Result {
            let server = tokio::task::spawn_blocking(conformance_tests::servers::$endpoint::shared);
            sign_in_shop_and_sign_out(server.await??.url()).await
        }
    )*};
}

on_servers! {
    the_shop_works_on_redis, "redis", RedisEndpoint;
    the_shop_works_on_postgres, "postgres", PostgresEndpoint;
    the_shop_works_on_mongo, "mongo", MongoEndpoint;
    the_shop_works_on_dynamo, "dynamo", DynamoEndpoint;
}

#[cfg(any(feature = "redis", feature = "postgres", feature = "mongo", feature = "dynamo"))]
async fn sign_in_shop_and_sign_out(store: &str) -> Result {
    let (shop, chromium) = (Shop::start(&["--store", store])?, Chromium::start()?);
    let browser = chromium.browser().await?;
    sign_in(&browser, &shop, "Ada").await?;
    browser.goto(&shop.url("/cart")).await?;
    press(&browser, "button[value=Tea]").await?;
    assert_eq!(text(&browser, "td[data-item=Tea]").await?, "1");
    let token = cookie(&browser, &shop).await?.value().to_owned();
    assert!(shop.is_signed_in(&token)?);
    browser.goto(&shop.url("/devices")).await?;
    press(&browser, "#end-everywhere").await?;
    assert!(!shop.is_signed_in(&token)?, "ended everywhere");
    browser.close().await?;
    Ok(())
}
