//! The sessions that a contestant holds, and what is to be done to them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_core::{
    Authentication, BoxError, Realm, Record, RecordParts, Revision, SecretHash, SessionId, Subject,
    Timestamp,
};

use crate::backend::Op;
use crate::rng::Rng;

/// The length of a user's name: that of a UUID as text.
pub(crate) const SUBJECT_LEN: usize = 36;

const IDLE: Duration = Duration::from_hours(1);
const ABSOLUTE: Duration = Duration::from_hours(24);

/// What the bench knows of a stored session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) subject: Option<Subject>,
    pub(crate) revision: Revision,
}

impl Session {
    /// The record as a login or first request writes it.
    pub(crate) fn record(&self, now: Timestamp, payload: Bytes) -> Record {
        let mut hash = [0; SecretHash::LEN];
        hash[..SessionId::LEN].copy_from_slice(self.id.as_bytes());
        Record::from_parts(RecordParts {
            id: self.id,
            revision: self.revision,
            secret_hash: SecretHash::from_bytes(hash),
            previous: None,
            subject: self.subject.clone(),
            created_at: now,
            expires_at: now.plus(IDLE),
            deadline: now.plus(ABSOLUTE),
            authentication: self.subject.as_ref().map(|_| Authentication { at: now, level: 1 }),
            credential_tag: None,
            payload,
        })
    }
}

/// One operation to do.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The session as it is stored when the operation begins; for a create, the new one.
    pub(crate) session: Session,
    /// The revision that an update writes.
    pub(crate) next_revision: Revision,
    /// The idle deadline that an update or touch writes: later than any before.
    pub(crate) expires_at: Timestamp,
}

/// Makes sessions that no other has, in the same order in every run.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    rng: Rng,
    pub(crate) now: Timestamp,
    ticks: u64,
}

impl Source {
    /// Those of different `seed`s are different sessions.
    pub(crate) fn new(seed: u64) -> Result<Self, BoxError> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Self { rng: Rng::new(seed), now: Timestamp::MIN.plus(since), ticks: 0 })
    }

    pub(crate) fn session(&mut self, with_subject: bool) -> Result<Session, BoxError> {
        let id = SessionId::from_bytes(self.rng.bytes())?;
        let subject = with_subject.then(|| self.subject()).transpose()?;
        Ok(Session { id, subject, revision: self.revision() })
    }

    fn subject(&mut self) -> Result<Subject, BoxError> {
        let number = self.rng.bytes();
        let (a, b) = number.split_at(8);
        let word = |part: &[u8]| part.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        let (high, low) = (word(a), word(b));
        let name = format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        );
        Ok(Subject::new(&Realm::default(), &name)?)
    }

    fn revision(&mut self) -> Revision {
        Revision::from_bytes(self.rng.next().to_be_bytes())
    }

    /// An idle deadline that is later than every one before.
    fn later(&mut self) -> Timestamp {
        self.ticks += 1;
        self.now.plus(IDLE + Duration::from_millis(self.ticks))
    }

    fn work(&mut self, session: Session) -> Work {
        Work { session, next_revision: self.revision(), expires_at: self.later() }
    }
}

/// The sessions that one contestant holds throughout.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    pub(crate) sessions: Vec<Session>,
    pub(crate) source: Source,
}

impl Population {
    /// `count` sessions of logged-in users.
    pub(crate) fn new(count: usize, seed: u64) -> Result<Self, BoxError> {
        let mut source = Source::new(seed)?;
        let sessions = (0..count).map(|_| source.session(true)).collect::<Result<_, _>>()?;
        Ok(Self { sessions, source })
    }

    /// The creates that store these sessions, in chunks.
    pub(crate) fn creates(&mut self, chunk: usize) -> Vec<Vec<Work>> {
        let source = &mut self.source;
        let chunks = self.sessions.chunks(chunk);
        chunks.map(|part| part.iter().map(|it| source.work(it.clone())).collect()).collect()
    }

    /// `count` operations for one of `tasks` tasks that run at a time. Loads go anywhere, updates and
    /// touches to sessions that are this task's alone.
    pub(crate) fn work(
        &mut self,
        op: Op,
        (task, tasks): (usize, usize),
        count: usize,
    ) -> Result<Vec<Work>, BoxError> {
        let all = self.sessions.len();
        let own = task * all / tasks..(task + 1) * all / tasks;
        let mut works = Vec::with_capacity(count);
        for _ in 0..count {
            let source = &mut self.source;
            let work = match op {
                Op::Create | Op::Delete => {
                    let session = source.session(false)?;
                    source.work(session)
                }
                Op::CreateWithSubject => {
                    let session = source.session(true)?;
                    source.work(session)
                }
                Op::Load => {
                    let at = source.rng.below(all);
                    source.work(self.sessions[at].clone())
                }
                Op::Update | Op::Touch => {
                    let at = own.start + source.rng.below(own.len());
                    let session = &mut self.sessions[at];
                    let work = source.work(session.clone());
                    if op == Op::Update {
                        session.revision = work.next_revision;
                    }
                    work
                }
            };
            works.push(work);
        }
        Ok(works)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_the_length_of_a_uuid() {
        let session = Source::new(1).unwrap().session(true).unwrap();
        assert_eq!(session.subject.unwrap().name().len(), SUBJECT_LEN);
    }

    #[test]
    fn updates_of_one_session_follow_each_other_and_tasks_share_none() {
        let mut population = Population::new(8, 1).unwrap();
        let mut stored: Vec<_> = population.sessions.iter().map(|it| it.revision).collect();
        let ids: Vec<_> = population.sessions.iter().map(|it| it.id).collect();
        for task in 0..4 {
            for work in population.work(Op::Update, (task, 4), 20).unwrap() {
                let at = ids.iter().position(|id| *id == work.session.id).unwrap();
                assert_eq!(at / 2, task);
                assert_eq!(stored[at], work.session.revision);
                stored[at] = work.next_revision;
            }
        }
    }

    #[test]
    fn every_touch_moves_the_deadline() {
        let mut population = Population::new(2, 1).unwrap();
        let works = population.work(Op::Touch, (0, 1), 10).unwrap();
        assert!(works.is_sorted_by(|a, b| a.expires_at < b.expires_at));
        let stored = works[0].session.record(population.source.now, Bytes::new());
        assert!(works[0].expires_at > stored.expires_at());
    }
}
