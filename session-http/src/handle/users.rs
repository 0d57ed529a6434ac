use std::time::Duration;

use session_core::{CommitOutcome, Login, SessionError};

use super::SessionHandle;
use crate::client::ClientNotice;
use crate::error::Error;

impl SessionHandle {
    /// The name of the user who is logged in.
    pub async fn user(&self) -> Result<Option<String>, Error> {
        Ok(self.info().await?.user().map(str::to_owned))
    }

    /// The name of the user who is logged in, for pages that need one.
    ///
    /// The error sends a browser to the [`login_page`](crate::Site::login_page), with the target of this request as the
    /// parameter `redirect_to` if it can be asked for again, that is for GET and HEAD. Read it there by
    /// [`LocalUrl::or_root`](crate::LocalUrl::or_root).
    ///
    /// # Errors
    ///
    /// [`Error::LoginRequired`] when nobody is logged in.
    pub async fn require_user(&self) -> Result<String, Error> {
        let user = self.user().await?;
        user.ok_or_else(|| Error::LoginRequired { login: self.shared().login.clone() })
    }

    /// Whether the user authenticated at most `max_age` ago, for operations that ask for the password again. Use
    /// does not refresh it; only a login or an elevation does.
    pub async fn is_fresh(&self, max_age: Duration) -> Result<bool, Error> {
        let now = self.shared().config()?.sessions.now();
        let authentication = self.info().await?.authentication;
        Ok(authentication.is_some_and(|it| now.since(it.at) <= max_age))
    }

    /// Logs the user `name` in, with nothing carried over from before. Written at once.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidSubject`] for what cannot be a name, and trouble. Then nobody was logged in.
    pub async fn login(&self, name: &str) -> Result<(), Error> {
        self.login_as(name, |login| login).await
    }

    /// The same, but the values of these keys are carried over. Name only what an attacker who used the browser
    /// before may have planted there: a cart, not a return address.
    ///
    /// # Errors
    ///
    /// As [`login`](Self::login).
    pub async fn login_keeping(&self, name: &str, keys: &[&str]) -> Result<(), Error> {
        self.login_as(name, |login| login.keeping(keys.iter().copied())).await
    }

    /// The same, with a level or a credential tag:
    ///
    /// ```
    /// # async fn handler(session: session_http::SessionHandle) -> Result<(), session_http::Error> {
    /// session.login_as("alice", |login| login.level(2).keeping(["cart"])).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`login`](Self::login).
    pub async fn login_as(
        &self,
        name: &str,
        login: impl FnOnce(Login) -> Login,
    ) -> Result<(), Error> {
        let subject = self.shared().config()?.sessions.subject(name).map_err(SessionError::from)?;
        let mut login = login(Login::new(subject));
        let mut turn = self.turn().await?;
        let noted = match &self.shared().client {
            Some(client) => {
                login = login.keeping([ClientNotice::KEY]);
                turn.session().data_mut().insert(ClientNotice::KEY, client)
            }
            None => Ok(()),
        };
        let done = match noted {
            Ok(()) => turn.sessions.login(turn.session(), login).await,
            Err(error) => Err(error.into()),
        };
        turn.end();
        Ok(done?)
    }

    /// Ends the session. Written at once; `true` if it was live until now. The session is anonymous from here on,
    /// and what is written to it begins a new one.
    ///
    /// # Errors
    ///
    /// Trouble. The session may then still be live: do not tell the user that the logout succeeded.
    pub async fn logout(&self) -> Result<bool, Error> {
        let mut turn = self.turn().await?;
        let done = turn.sessions.destroy(turn.session()).await;
        turn.end();
        Ok(done?)
    }

    /// Records that the user has just proved who they are at `level`, and gives the client a new secret. Written at
    /// once, with the changes so far.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] when nobody is logged in, and trouble.
    pub async fn elevate(&self, level: u8) -> Result<CommitOutcome, Error> {
        let mut turn = self.turn().await?;
        let done = turn.sessions.elevate(turn.session(), level).await;
        turn.end();
        Ok(done?)
    }
}
