//! What an application sees of the session of a request.

mod devices;
mod info;
mod users;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use session_core::{CommitOutcome, SessionData};

pub use devices::Device;
pub use info::SessionInfo;

use crate::error::Error;
use crate::exchange::{Shared, Turn};

/// The session of one request, as its handlers use it. Clones see the same session, and tasks of the request may use
/// it at once: they take turns.
///
/// The session is opened when it is first used: one call to the store, and none without a token. Changes of data are
/// kept in memory until the response leaves, and are then committed in one call, merged by key with what other
/// requests have written. What changes who the client is, or whether the session lives, is written **at once**: when
/// [`login`](Self::login), [`logout`](Self::logout), [`elevate`](Self::elevate) and the operations on
/// [`devices`](Self::devices) return, it has happened, on every server.
///
/// A request whose token was superseded sees an anonymous session: what it writes is dropped, unless it logs in.
///
/// # Errors
///
/// Every method answers [`Error::Session`] when the session cannot be opened, and [`Error::Closed`] when the response
/// has begun; then an opened session can still be read.
#[derive(Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
}

impl SessionHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The value of `key`, or `None` if there is none.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        Ok(self.view(|data| data.get(key)).await??)
    }

    /// Whether there is a value for `key`.
    pub async fn contains(&self, key: &str) -> Result<bool, Error> {
        self.view(|data| data.contains(key)).await
    }

    /// Sets `key` to `value`.
    pub async fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        Ok(self.change(|data| data.insert(key, value)).await??)
    }

    /// Removes `key`, and says whether there was a value.
    pub async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.change(|data| data.remove(key)).await
    }

    /// Removes every value and every flash message, also those that another request adds before this one commits.
    pub async fn clear(&self) -> Result<(), Error> {
        self.change(SessionData::clear).await
    }

    /// Sets `key` to what `alteration` makes of its value, now, and again on the newer value if the commit has to be
    /// merged with another request's: for counters and lists. It must do nothing but compute.
    pub async fn alter<T, U>(
        &self,
        key: &str,
        alteration: impl Fn(Option<T>) -> U + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        Ok(self.change(|data| data.alter(key, alteration)).await??)
    }

    /// All values as one struct.
    pub async fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(self.view(SessionData::read).await??)
    }

    /// Writes the fields of a struct: those whose value differs, and no others.
    pub async fn write<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        Ok(self.change(|data| data.write(value)).await??)
    }

    /// Adds a message for the next request that reads it, say the page after a redirect.
    pub async fn flash<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        Ok(self.change(|data| data.flash(key, value)).await??)
    }

    /// The flash messages of `key`, in the order in which they were added. They are gone with the commit of this
    /// request; when it fails, or the handler does, they are shown again.
    pub async fn take_flash<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, Error> {
        let has_any = self.view(|data| data.has_flash(key)).await?;
        if !has_any {
            return Ok(Vec::new());
        }
        Ok(self.change(|data| data.take_flash(key)).await??)
    }

    /// Keeps the flash messages of `key` that this request has taken for the next one as well.
    pub async fn keep(&self, key: &str) -> Result<(), Error> {
        self.change(|data| data.keep_flash(key)).await
    }

    /// Reads the data: for several values at once, which then belong together.
    pub async fn view<R>(&self, view: impl FnOnce(&SessionData) -> R) -> Result<R, Error> {
        let slot = self.shared.slot().await?;
        let (session, _) = slot.seen(self.shared.carries_on())?;
        Ok(view(session.data()))
    }

    /// Changes the data: for several changes at once, and for
    /// [`require_unchanged`](SessionData::require_unchanged).
    pub async fn change<R>(&self, change: impl FnOnce(&mut SessionData) -> R) -> Result<R, Error> {
        let mut slot = self.shared.slot().await?;
        self.shared.check_open()?;
        Ok(change(slot.opened()?.session.data_mut()))
    }

    /// Who and what the session is: id, user, times.
    pub async fn info(&self) -> Result<SessionInfo, Error> {
        let slot = self.shared.slot().await?;
        let (session, client_changed) = slot.seen(self.shared.carries_on())?;
        Ok(SessionInfo::of(session, client_changed))
    }

    /// Commits what was changed so far, and says what became of it. The exchange commits by itself; this is for
    /// handlers that have to know, say before they send a mail. One call to the store, if anything was changed.
    pub async fn commit(&self) -> Result<CommitOutcome, Error> {
        let mut turn = self.turn().await?;
        let outcome = turn.sessions.commit(turn.session()).await;
        turn.end();
        Ok(outcome?)
    }

    /// Gives the client a new secret with the commit, in the same write as the data. The old one stays valid for a
    /// short grace, so that requests under way are not logged out.
    pub async fn rotate(&self) -> Result<(), Error> {
        let mut slot = self.shared.slot().await?;
        self.shared.check_open()?;
        slot.opened()?.session.rotate();
        Ok(())
    }

    /// From now on, when the store is in trouble, this request sees an anonymous session instead of an error. Call it
    /// before the first use. Writing stays an error, and the client's token is left alone.
    pub fn carry_on_when_down(&self) {
        self.shared.carry_on();
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The session, for a write that is made at once.
    async fn turn(&self) -> Result<Turn<'_>, Error> {
        let slot = self.shared.slot().await?;
        self.shared.check_open()?;
        Turn::take(slot, &self.shared.config()?.sessions)
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").finish_non_exhaustive()
    }
}
