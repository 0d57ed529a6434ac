//! The story: each step uses `Sessions` as an application would, and checks what it says.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use examples::backend::Backend;
use session_core::{
    Clock, CommitOutcome, Lifetimes, Login, ManualClock, Opened, PageRequest, Session,
    SessionStore, Sessions, TokenChange, TokenText,
};

use crate::narrator::Narrator;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn tell(backend: Backend) -> Result {
    println!("A tour of sessions on {}.\n", backend.name);
    println!("  A cookie holds a token: a public id, shown here as #1, #2, …, and a secret, shown");
    println!("  nowhere. The store holds the record, and of the secret only a hash.");
    let narrator = Arc::new(Narrator::new(backend.store));
    let tour = Tour::new(Arc::clone(&narrator))?;
    let outcome = tour.walk().await;
    tour.clean_up().await?;
    outcome?;
    println!("\nThat was the tour. Every step was checked; no session is left in the store.");
    Ok(())
}

struct Tour {
    narrator: Arc<Narrator>,
    sessions: Sessions<Narrator>,
    clock: ManualClock,
}

impl Tour {
    fn new(narrator: Arc<Narrator>) -> Result<Self> {
        let clock = ManualClock::starting_now();
        let sessions = Sessions::builder(Arc::clone(&narrator))
            .lifetimes(Lifetimes::new(24 * HOUR, 72 * HOUR)?)
            .anonymous_lifetimes(Lifetimes::new(HOUR, 24 * HOUR)?)
            .clock(clock.clone())
            .build()?;
        Ok(Self { narrator, sessions, clock })
    }

    async fn walk(&self) -> Result {
        let anonymous = self.first_write().await?;
        self.reading(&anonymous).await?;
        self.two_requests_merge(&anonymous).await?;
        let alice = self.log_in(&anonymous).await?;
        let alice = self.rotation(&alice).await?;
        self.devices(&alice).await?;
        let alice = self.log_out_everywhere(&alice).await?;
        self.expiry(&alice).await
    }

    async fn first_write(&self) -> Result<TokenText> {
        step(1, "A visitor without a cookie puts tea into the cart");
        let mut request = self.request("GET /", None).await?;
        self.commit(&mut request).await?;
        said("nothing was written, so nothing is stored and no cookie is set");
        let mut request = self.request("POST /cart", None).await?;
        request.data_mut().insert("cart", &["tea"])?;
        self.commit(&mut request).await?;
        token(&request)
    }

    async fn reading(&self, cookie: &TokenText) -> Result {
        step(2, "The next request brings the cookie");
        let mut request = self.request("GET /cart", Some(cookie)).await?;
        let cart: Option<Vec<String>> = request.data().get("cart")?;
        check(cart == Some(vec!["tea".into()]), "the cart is there")?;
        self.commit(&mut request).await?;
        let mut forged = cookie.as_str().to_owned();
        forged.replace_range(40..44, "AAAA");
        println!("     request GET /cart with the right id and a wrong secret");
        let request = self.sessions.open(Some(forged.as_bytes())).await?;
        check(request.opened() == Opened::Unknown, "knowing an id opens nothing")
    }

    async fn two_requests_merge(&self, cookie: &TokenText) -> Result {
        step(3, "Two requests change the session at the same time");
        let mut one = self.request("POST /cart     (A)", Some(cookie)).await?;
        let mut two = self.request("POST /language (B)", Some(cookie)).await?;
        one.data_mut().insert("cart", &["tea", "biscuits"])?;
        two.data_mut().insert("language", "en")?;
        self.commit(&mut one).await?;
        said("A was first; B meets a conflict, reads again and applies its own change on top");
        self.commit(&mut two).await?;
        let request = self.request("GET /", Some(cookie)).await?;
        let kept = request.data().contains("language")
            && request.data().get::<Vec<String>>("cart")?.is_some_and(|cart| cart.len() == 2);
        check(kept, "both changes are there")
    }

    async fn log_in(&self, cookie: &TokenText) -> Result<TokenText> {
        step(4, "Alice logs in, and keeps the cart");
        let mut request = self.request("POST /login", Some(cookie)).await?;
        let login = Login::new(self.sessions.subject("alice")?).keeping(["cart"]);
        self.sessions.login(&mut request, login).await?;
        self.commit(&mut request).await?;
        check(request.data().contains("cart"), "the cart was named, so it is still there")?;
        check(!request.data().contains("language"), "everything else from before is gone")?;
        let alice = token(&request)?;
        let stale = self.request("GET / with the old cookie", Some(cookie)).await?;
        check(stale.opened() == Opened::Superseded, "the old token is refused at once")?;
        Ok(alice)
    }

    async fn rotation(&self, cookie: &TokenText) -> Result<TokenText> {
        step(5, "The secret is rotated, with 30 seconds of grace for requests in flight");
        let mut request = self.request("GET /", Some(cookie)).await?;
        request.rotate();
        self.commit(&mut request).await?;
        let new = token(&request)?;
        let late = self.request("GET /image with the old cookie", Some(cookie)).await?;
        check(late.opened() == Opened::Live, "inside the grace the old token still works")?;
        self.wait("31 seconds", Duration::from_secs(31));
        let stolen = self.request("GET / with the old cookie", Some(cookie)).await?;
        check(stolen.opened() == Opened::Superseded, "after it, it is refused and reported")?;
        Ok(new)
    }

    async fn devices(&self, cookie: &TokenText) -> Result {
        step(6, "Alice logs in on a phone and a tablet, and looks at her devices");
        let alice = self.sessions.subject("alice")?;
        for device in ["phone", "tablet"] {
            let mut request = self.request(&format!("POST /login ({device})"), None).await?;
            self.sessions.login(&mut request, alice.clone()).await?;
            self.commit(&mut request).await?;
        }
        let here = self.request("GET /devices", Some(cookie)).await?;
        let page = self.sessions.list(&alice, &PageRequest::first(10)).await?;
        for device in &page.items {
            let mark = if Some(device.id) == here.id() { "this device" } else { "another one" };
            println!("     device  {} ({mark})", self.narrator.name(&device.id));
        }
        check(page.items.len() == 3, "three devices")?;
        let other = page.items.iter().find(|device| Some(device.id) != here.id());
        let other = other.ok_or("there is another device")?.id;
        println!("     request POST /devices/{}/end", self.narrator.name(&other));
        let ended = self.sessions.destroy_one(&alice, &other).await?;
        check(ended, "one of them is logged out")
    }

    async fn log_out_everywhere(&self, cookie: &TokenText) -> Result<TokenText> {
        step(7, "Alice changes her password: log out everywhere else");
        let alice = self.sessions.subject("alice")?;
        let mut other = self.request("POST /login (laptop)", None).await?;
        self.sessions.login(&mut other, alice.clone()).await?;
        let mut request = self.request("POST /password", Some(cookie)).await?;
        let ended = self.sessions.destroy_all(&alice, Some(&mut request)).await?;
        check(ended == 2, "two other sessions ended, and this one has a new secret")?;
        self.commit(&mut request).await?;
        other.data_mut().insert("draft", "written too late")?;
        println!("     request the laptop's request, begun before, writes now");
        let outcome = self.sessions.commit(&mut other).await?;
        check(outcome == CommitOutcome::Missing, "a late write does not bring it back")?;
        token(&request)
    }

    async fn expiry(&self, cookie: &TokenText) -> Result {
        step(8, "Sessions end by themselves: 24 hours unused, or 72 hours in all");
        for hours in [20, 40, 60] {
            self.wait("20 hours", 20 * HOUR);
            let mut request = self.request("GET /", Some(cookie)).await?;
            check(request.opened() == Opened::Live, &format!("in use after {hours} hours: alive"))?;
            self.commit(&mut request).await?;
        }
        self.wait("12 hours", 12 * HOUR);
        let request = self.request("GET /", Some(cookie)).await?;
        check(request.opened() == Opened::Unknown, "72 hours after the login: over, however used")?;
        let mut request = self.request("POST /cart", None).await?;
        request.data_mut().insert("cart", &["coffee"])?;
        self.commit(&mut request).await?;
        let visitor = token(&request)?;
        self.wait("1 hour", HOUR);
        let request = self.request("GET /cart", Some(&visitor)).await?;
        check(request.opened() == Opened::Unknown, "an anonymous visitor gets an hour unused")
    }

    async fn request(&self, line: &str, cookie: Option<&TokenText>) -> Result<Session> {
        println!("     request {line}{}", if cookie.is_some() { "" } else { " (no cookie)" });
        Ok(self.sessions.open(cookie.map(TokenText::as_bytes)).await?)
    }

    async fn commit(&self, request: &mut Session) -> Result {
        let outcome = self.sessions.commit(request).await?;
        println!("     commit  {outcome:?}");
        match request.token_change() {
            TokenChange::Set(token) => {
                println!("     cookie  set, for session {}", self.narrator.name(&token.id()));
            }
            TokenChange::Remove => println!("     cookie  removed"),
            _ => {}
        }
        Ok(())
    }

    fn wait(&self, text: &str, duration: Duration) {
        println!("     clock   + {text}");
        self.clock.advance(duration);
    }

    /// Deletes what the tour stored, whichever step it got to.
    async fn clean_up(&self) -> Result {
        println!("\nCleaning up");
        for id in self.narrator.seen() {
            self.narrator.delete(&id, self.clock.now()).await?;
        }
        Ok(())
    }
}

fn token(request: &Session) -> Result<TokenText> {
    match request.token_change() {
        TokenChange::Set(token) => Ok(token.encode()),
        _ => Err("the client was given no token".into()),
    }
}

fn step(number: u32, title: &str) {
    println!("\n{number}. {title}");
}

fn said(text: &str) {
    println!("     so      {text}");
}

/// The tour shows nothing that it has not seen.
fn check(holds: bool, text: &str) -> Result {
    if !holds {
        return Err(format!("this should be so, and is not: {text}").into());
    }
    said(text);
    Ok(())
}
