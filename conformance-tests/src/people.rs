//! Sites and the people who visit them: what the rules over `Sessions` are written with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use session_core::{
    CommitOutcome, DataError, Indexed, InvalidLifetimes, InvalidRealm, InvalidSubject, Lifetimes,
    Login, NoIndex, Opened, RandomUnavailable, Record, Session, SessionError, SessionId,
    SessionStore, SessionToken, Sessions, SessionsBuilder, StoreError, Subject, TokenChange,
    TokenText,
};

use crate::cx::Cx;
use crate::secrets::Secrets;
use crate::spy::{Op, Spy};
use crate::verdict::{Checked, Stop, chain, ensure, ensure_eq};

/// The grace of a rotation, unless a rule sets another one.
pub(crate) const GRACE: u64 = 30_000;

/// For how long after its grace a superseded token is told from an unknown one.
pub(crate) const SUPERSEDED_FOR: u64 = 120_000;

pub(crate) type Server<I = NoIndex> = Sessions<dyn SessionStore, I>;
pub(crate) type Builder = SessionsBuilder<dyn SessionStore>;

/// A site with two servers, each with a handle of its own and a spy on it. Both go by the rule's clock.
pub(crate) struct Site<I = NoIndex> {
    pub(crate) one: Server<I>,
    pub(crate) two: Server<I>,
    pub(crate) spies: [Arc<Spy>; 2],
    secrets: Arc<Secrets>,
}

/// How long a commit may merge. That a backend is slow, or the machine busy, is no failure of a merge.
const PATIENCE: Duration = Duration::from_secs(60);

impl Site<NoIndex> {
    /// A site that needs no index by subject, with every other setting at its default.
    pub(crate) fn of(cx: &Cx) -> Checked<Self> {
        Self::with(cx, |builder| builder)
    }

    pub(crate) fn with(cx: &Cx, settings: impl Fn(Builder) -> Builder) -> Checked<Self> {
        Self::built(cx, |builder| settings(builder).build_without_index())
    }
}

impl Site<Indexed> {
    /// A site that knows its users' sessions, with every other setting at its default.
    pub(crate) fn of_users(cx: &Cx) -> Checked<Self> {
        Self::of_users_with(cx, |builder| builder)
    }

    pub(crate) fn of_users_with(cx: &Cx, settings: impl Fn(Builder) -> Builder) -> Checked<Self> {
        Self::built(cx, |builder| settings(builder).build())
    }
}

impl<I> Site<I> {
    fn built(cx: &Cx, build: impl Fn(Builder) -> Result<Server<I>, StoreError>) -> Checked<Self> {
        let spies =
            cx.both().map(|store| Arc::new(Spy::new(Arc::clone(store), Arc::clone(cx.secrets()))));
        let server = |spy: &Arc<Spy>| {
            let store: Arc<dyn SessionStore> = Arc::clone(spy) as _;
            let builder = Sessions::<dyn SessionStore>::builder(store).clock(cx.clock().clone());
            build(builder.commit_within(PATIENCE))
        };
        let (one, two) = (server(&spies[0])?, server(&spies[1])?);
        Ok(Self { one, two, spies, secrets: Arc::clone(cx.secrets()) })
    }

    pub(crate) const fn both(&self) -> [&Server<I>; 2] {
        [&self.one, &self.two]
    }

    /// The first server and the second in turns.
    pub(crate) const fn server(&self, number: usize) -> &Server<I> {
        if number.is_multiple_of(2) { &self.one } else { &self.two }
    }

    /// How often both servers called the operation of the store.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.spies.iter().map(|spy| spy.calls(op)).sum()
    }

    /// How many calls of the store both servers made.
    pub(crate) fn all_calls(&self) -> usize {
        self.spies.iter().map(|spy| spy.all_calls()).sum()
    }

    /// How many calls both servers made that could change something.
    pub(crate) fn writes(&self) -> usize {
        Op::WRITES.iter().map(|op| self.calls(*op)).sum()
    }

    /// A browser without a cookie.
    pub(crate) fn browser(&self) -> Browser {
        Browser { cookie: None, secrets: Arc::clone(&self.secrets) }
    }

    /// A browser with an anonymous session that holds `data`.
    pub(crate) async fn visitor(&self, data: Value) -> Checked<Browser> {
        let mut browser = self.browser();
        browser.put(&self.one, data).await?;
        Ok(browser)
    }

    /// A browser in which the user has logged in at level 1, with `data` written afterwards. It had an
    /// anonymous session before, as most have.
    pub(crate) async fn user(&self, name: &str, data: Value) -> Checked<Browser> {
        let mut browser = self.visitor(json!({ "before": "the login" })).await?;
        browser.log_in(&self.one, Login::new(self.one.subject(name)?).level(1)).await?;
        browser.put(&self.one, data).await?;
        Ok(browser)
    }

    /// Both servers let the browser in, and show it exactly this data.
    pub(crate) async fn expect(&self, browser: &Browser, data: Value) -> Checked<Session> {
        let first = expect_live(&self.one, browser, &data).await?;
        let second = expect_live(&self.two, browser, &data).await?;
        ensure_eq!(second.subject(), first.subject(), "the users that the two servers see");
        Ok(first)
    }

    /// To both servers the browser is a stranger: its token is this, and shows nothing.
    pub(crate) async fn expect_stranger(&self, browser: &Browser, opened: Opened) -> Checked {
        for server in self.both() {
            let session = browser.visit(server).await?;
            ensure_eq!(session.opened(), opened, "what the token turns out to be");
            expect_nothing_shown(&session)?;
        }
        Ok(())
    }
}

async fn expect_live<I>(server: &Server<I>, browser: &Browser, data: &Value) -> Checked<Session> {
    let session = browser.visit(server).await?;
    ensure_eq!(session.opened(), Opened::Live, "what the token turns out to be");
    ensure_eq!(data_of(&session)?, *data, "the data of the session");
    ensure_eq!(session.id(), Some(browser.id()?), "the id of the session");
    Ok(session)
}

/// The session of a stranger is empty, and belongs to nobody.
pub(crate) fn expect_nothing_shown(session: &Session) -> Checked {
    ensure_eq!(session.id(), None, "the id of a stranger's session");
    ensure!(session.subject().is_none(), "a stranger is taken for a user");
    ensure_eq!(session.authentication(), None, "the authentication of a stranger");
    ensure!(session.credential_tag().is_none(), "a stranger has a credential tag");
    ensure!(session.data().is_empty(), "a stranger sees data");
    expect_client_told_nothing(session)
}

/// The answer says nothing about the token.
pub(crate) fn expect_client_told_nothing(session: &Session) -> Checked {
    let change = session.token_change();
    ensure!(matches!(change, TokenChange::Keep), "the client is told nothing, not {change:?}");
    Ok(())
}

/// The data of the session, without flash messages.
pub(crate) fn data_of(session: &Session) -> Checked<Value> {
    Ok(session.data().read()?)
}

/// Writes the members of an object as keys of the session.
pub(crate) fn write(session: &mut Session, data: Value) -> Checked {
    Ok(insert_all(session, data)?)
}

/// The same, for values that may be refused.
pub(crate) fn insert_all(session: &mut Session, data: Value) -> Result<(), DataError> {
    let Value::Object(members) = data else { return Err(DataError::WrongType) };
    members.into_iter().try_for_each(|(key, value)| session.data_mut().insert(key, &value))
}

/// Commits, which must be refused with this outcome: nothing is stored, and the client is told nothing.
pub(crate) async fn expect_refused<I>(
    server: &Server<I>,
    session: &mut Session,
    outcome: CommitOutcome,
) -> Checked {
    // The second time shows that the handle does not forget it.
    for _ in 0..2 {
        ensure_eq!(server.commit(session).await?, outcome, "a commit that comes too late");
        expect_client_told_nothing(session)?;
    }
    Ok(())
}

/// The record of the browser's session, as both handles see it.
pub(crate) async fn record_of(cx: &Cx, browser: &Browser) -> Checked<Record> {
    let record = cx.load(&browser.id()?).await?;
    record.ok_or_else(|| Stop::failed("the session of the browser is not stored"))
}

/// A client: holds one token, sends it with each request, and does what the answer says.
#[derive(Clone)]
pub(crate) struct Browser {
    cookie: Option<TokenText>,
    secrets: Arc<Secrets>,
}

impl Browser {
    /// Begins a request.
    pub(crate) async fn visit<I>(&self, server: &Server<I>) -> Checked<Session> {
        Ok(server.open(self.cookie.as_ref().map(TokenText::as_bytes)).await?)
    }

    /// Ends a request: commits, and takes the answer.
    pub(crate) async fn leave<I>(
        &mut self,
        server: &Server<I>,
        session: &mut Session,
    ) -> Checked<CommitOutcome> {
        let outcome = server.commit(session).await?;
        self.take(session);
        Ok(outcome)
    }

    /// Ends a request which must be stored.
    pub(crate) async fn save<I>(&mut self, server: &Server<I>, session: &mut Session) -> Checked {
        ensure_eq!(self.leave(server, session).await?, CommitOutcome::Saved, "a commit");
        Ok(())
    }

    /// A whole request that writes the members of an object as keys.
    pub(crate) async fn put<I>(&mut self, server: &Server<I>, data: Value) -> Checked {
        let mut session = self.visit(server).await?;
        write(&mut session, data)?;
        let changed = session.data().is_changed();
        let expected = if changed { CommitOutcome::Saved } else { CommitOutcome::Unchanged };
        ensure_eq!(self.leave(server, &mut session).await?, expected, "a commit");
        Ok(())
    }

    /// A whole request that rotates the secret.
    pub(crate) async fn rotate<I>(&mut self, server: &Server<I>) -> Checked {
        let mut session = self.visit(server).await?;
        session.rotate();
        self.save(server, &mut session).await?;
        let change = session.token_change();
        ensure!(matches!(change, TokenChange::Set(_)), "a rotation gives a token, not {change:?}");
        Ok(())
    }

    /// A whole request that logs in.
    pub(crate) async fn log_in<I>(
        &mut self,
        server: &Server<I>,
        login: impl Into<Login>,
    ) -> Checked<Session> {
        let mut session = self.visit(server).await?;
        server.login(&mut session, login).await?;
        self.take_new_token(&session)?;
        Ok(session)
    }

    /// Does what the answer says about the token.
    pub(crate) fn take(&mut self, session: &Session) {
        match session.token_change() {
            TokenChange::Set(token) => self.cookie = Some(self.seen(token)),
            TokenChange::Remove => self.cookie = None,
            _ => {}
        }
    }

    /// Takes the token that the answer must have.
    pub(crate) fn take_new_token(&mut self, session: &Session) -> Checked {
        let change = session.token_change();
        ensure!(matches!(change, TokenChange::Set(_)), "the answer has a token, not {change:?}");
        self.take(session);
        ensure_eq!(Some(self.id()?), session.id(), "the id in the token");
        Ok(())
    }

    /// A browser with this token instead.
    pub(crate) fn with(&self, token: &SessionToken) -> Self {
        Self { cookie: Some(token.encode()), secrets: Arc::clone(&self.secrets) }
    }

    pub(crate) fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// The text of its token.
    pub(crate) fn text(&self) -> Checked<&str> {
        let cookie = self.cookie.as_ref();
        cookie.map(TokenText::as_str).ok_or_else(|| Stop::failed("the browser was given no token"))
    }

    /// Its token.
    pub(crate) fn token(&self) -> Checked<SessionToken> {
        let token = SessionToken::parse(self.text()?.as_bytes());
        token.map_err(|error| Stop::failed(error.to_string()))
    }

    /// The id in its token.
    pub(crate) fn id(&self) -> Checked<SessionId> {
        Ok(self.token()?.id())
    }

    fn seen(&self, token: &SessionToken) -> TokenText {
        let text = token.encode();
        self.secrets.issued(&text);
        text
    }
}

/// Idle and absolute lifetime in seconds.
pub(crate) fn lifetimes(idle: u64, absolute: u64) -> Checked<Lifetimes> {
    Ok(Lifetimes::new(Duration::from_secs(idle), Duration::from_secs(absolute))?)
}

/// The user of the empty realm with this name.
pub(crate) fn login_of<I>(server: &Server<I>, name: &str) -> Checked<Login> {
    Ok(Login::new(server.subject(name)?))
}

/// An object without members.
pub(crate) fn nothing() -> Value {
    Value::Object(Map::new())
}

/// The ids of the subject's sessions as both servers list them, in order.
pub(crate) async fn ids_of(cx: &Cx, subject: &Subject) -> Checked<Vec<SessionId>> {
    Ok(cx.list(subject).await?.into_iter().map(|summary| summary.id).collect())
}

/// The same in the order of their ids.
pub(crate) fn ids_in(browsers: &[&Browser]) -> Checked<Vec<SessionId>> {
    let mut ids = browsers.iter().map(|browser| browser.id()).collect::<Checked<Vec<_>>>()?;
    ids.sort_unstable();
    Ok(ids)
}

macro_rules! stops {
    ($($error:ty),*) => {$(
        impl From<$error> for Stop {
            #[track_caller]
            fn from(error: $error) -> Self {
                Self::failed(format!("expected an answer, got the error {}", chain(&error)))
            }
        }
    )*};
}

stops!(SessionError, DataError, RandomUnavailable, InvalidSubject, InvalidRealm, InvalidLifetimes);
