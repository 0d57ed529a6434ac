//! Requests that began before something happened to their session.

use serde_json::json;
use session_core::{CommitOutcome, Session, SessionError};

use crate::cx::Cx;
use crate::people::{Browser, Site, expect_client_told_nothing, expect_refused, write};
use crate::spy::Op;
use crate::verdict::{Checked, ensure_eq};

/// One request of each kind, of one browser, on both servers.
pub(crate) struct InFlight {
    writing: Session,
    clearing: Session,
    rotating: Session,
    elevating: Session,
    /// Only reads, so that at most a touch is written.
    pub(crate) reading: Session,
}

impl InFlight {
    pub(crate) async fn of<I>(site: &Site<I>, browser: &Browser) -> Checked<Self> {
        let mut writing = browser.visit(&site.one).await?;
        write(&mut writing, json!({ "planted": true, "n": 666 }))?;
        let mut clearing = browser.visit(&site.two).await?;
        clearing.data_mut().clear();
        let mut rotating = browser.visit(&site.one).await?;
        rotating.rotate();
        let elevating = browser.visit(&site.two).await?;
        let reading = browser.visit(&site.one).await?;
        Ok(Self { writing, clearing, rotating, elevating, reading })
    }

    /// Each that writes is refused with this outcome, and begins no session of its own.
    pub(crate) async fn are_refused<I>(
        &mut self,
        site: &Site<I>,
        outcome: CommitOutcome,
    ) -> Checked {
        let creates = site.calls(Op::Create);
        expect_refused(&site.one, &mut self.writing, outcome).await?;
        expect_refused(&site.two, &mut self.clearing, outcome).await?;
        expect_refused(&site.one, &mut self.rotating, outcome).await?;
        match site.two.elevate(&mut self.elevating, 9).await {
            Ok(answer) => ensure_eq!(answer, outcome, "an elevation that comes too late"),
            // Of an anonymous session.
            Err(SessionError::NotLoggedIn) => {}
            Err(error) => return Err(error.into()),
        }
        expect_client_told_nothing(&self.elevating)?;
        ensure_eq!(site.calls(Op::Create), creates, "sessions made by requests that come too late");
        Ok(())
    }

    /// The same, and the browser's session stays as it is to the last field.
    pub(crate) async fn change_nothing<I>(
        &mut self,
        cx: &Cx,
        site: &Site<I>,
        browser: &Browser,
        outcome: CommitOutcome,
    ) -> Checked {
        let before = cx.load(&browser.id()?).await?;
        self.are_refused(site, outcome).await?;
        match before {
            Some(record) => cx.expect(&record).await,
            None => cx.expect_none(&browser.id()?).await,
        }
    }
}
