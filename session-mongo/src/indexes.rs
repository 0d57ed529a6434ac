//! The two indexes besides that on the id: what the server removes, and the sessions of a subject.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use session_core::{StoreError, StoreErrorKind};
use tokio::time::Instant;

use crate::calls::Ended;
use crate::error::Access;
use crate::layout::{ID, REMOVE_AFTER, SUBJECT};
use crate::store::MongoStore;

/// The indexes as the database command `createIndexes`, for people who create them themselves. Put in the name of
/// your collection, where it is not `sessions`; the names of the indexes do not matter.
pub const INDEXES: &str = include_str!("../indexes.json");

/// Answers of a server on which somebody else is creating the same collection or index.
const BEGUN_ELSEWHERE: [i32; 3] = [48, 112, 117];
/// The answer about a collection that does not exist.
const NO_COLLECTION: i32 = 26;

/// Between two attempts while somebody else does the same.
const PAUSE: Duration = Duration::from_millis(50);

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Removes what is over.
    Removal,
    /// Finds the sessions of a subject.
    Subject,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Removal, Self::Subject];

    fn definition(self) -> Document {
        match self {
            Self::Removal => doc! {
                "name": "session_removal", "key": { REMOVE_AFTER: 1 }, "expireAfterSeconds": 0,
            },
            Self::Subject => doc! {
                "name": "session_subject", "key": { SUBJECT: 1, ID: 1 }, "sparse": true,
            },
        }
    }

    /// Whether this index, as the server describes it, does it.
    fn is_served_by(self, index: &Document) -> bool {
        let is = |name: &str| index.get_bool(name).unwrap_or(false);
        let fields: &[&str] = match self {
            Self::Removal => &[REMOVE_AFTER],
            Self::Subject => &[SUBJECT, ID],
        };
        let ascending = |key: &Document| {
            key.keys().map(String::as_str).eq(fields.iter().copied())
                && key.values().all(|order| number(order).is_some_and(|order| order > 0.0))
        };
        let whole = index.get_document("key").is_ok_and(ascending)
            && !index.contains_key("partialFilterExpression")
            && !is("hidden");
        let expires = index.get("expireAfterSeconds");
        match self {
            Self::Removal => whole && expires.and_then(number) == Some(0.0),
            // With a collation it compares bytes as well.
            Self::Subject => whole && expires.is_none() && !is("unique"),
        }
    }

    const fn is_missing(self) -> &'static str {
        match self {
            Self::Removal => "there is no index by which the server removes what is over",
            Self::Subject => "there is no index that finds the sessions of a subject",
        }
    }
}

/// A number of whatever type the server or a person has chosen.
fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Double(number) => Some(*number),
        Bson::Int64(number) => i32::try_from(*number).ok().map(f64::from),
        _ => None,
    }
}

impl MongoStore {
    /// Creates the collection and its indexes, where they are not there yet, and looks whether they are as they
    /// should be. Any number of processes may do it at the same time, and as often as they like.
    ///
    /// On a large collection without indexes it takes as long as building them. Needs the privileges `createIndex`
    /// and `listIndexes` on the collection. Ends within `walk_deadline`.
    ///
    /// # Errors
    ///
    /// `Config` when an index of the same name or on the same fields is there and is another one; `Denied` without
    /// the privileges; others when the servers cannot be used now.
    pub async fn ensure_indexes(&self) -> Result<(), StoreError> {
        let deadline = self.walk_deadline();
        loop {
            let indexes = Purpose::ALL.map(Purpose::definition).to_vec();
            let create = doc! { "createIndexes": self.collection(), "indexes": indexes };
            match self.run(None, create, deadline).await {
                Ended::Failed(error)
                    if is_code(&error, &BEGUN_ELSEWHERE) && Instant::now() + PAUSE < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                ended => {
                    ended.or_trouble(Access::Write, "create the indexes")?;
                    break;
                }
            }
        }
        match self.missing_indexes(deadline).await?.first() {
            None => Ok(()),
            Some(purpose) => Err(StoreError::new(StoreErrorKind::Config, purpose.is_missing())),
        }
    }

    /// The purposes that no index serves.
    pub(crate) async fn missing_indexes(
        &self,
        deadline: Instant,
    ) -> Result<Vec<Purpose>, StoreError> {
        let list = doc! { "listIndexes": self.collection() };
        let answer = match self.run(None, list, deadline).await {
            Ended::Failed(error) if is_code(&error, &[NO_COLLECTION]) => doc! {},
            ended => ended.or_trouble(Access::Read, "list the indexes")?,
        };
        // A collection has at most 64, which come at once.
        let indexes = answer
            .get_document("cursor")
            .and_then(|cursor| cursor.get_array("firstBatch"))
            .cloned()
            .unwrap_or_default();
        let serves = |purpose: Purpose| {
            indexes.iter().filter_map(Bson::as_document).any(|index| purpose.is_served_by(index))
        };
        Ok(Purpose::ALL.into_iter().filter(|purpose| !serves(*purpose)).collect())
    }
}

fn is_code(error: &Error, codes: &[i32]) -> bool {
    matches!(&*error.kind, ErrorKind::Command(refusal) if codes.contains(&refusal.code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_file_says_what_is_created() {
        let published: serde_json::Value = serde_json::from_str(INDEXES).unwrap();
        let created = Bson::Document(doc! {
            "createIndexes": crate::names::DEFAULT_COLLECTION,
            "indexes": Purpose::ALL.map(Purpose::definition).to_vec(),
        });
        assert_eq!(serde_json::to_value(&created).unwrap(), published);
    }

    #[test]
    fn an_index_of_the_right_kind_is_told_from_others() {
        let v = |mut index: Document| {
            index.insert("v", 2);
            index
        };
        for purpose in Purpose::ALL {
            assert!(purpose.is_served_by(&v(purpose.definition())));
        }
        for other in [
            doc! { "key": { "x": 1 } },
            doc! { "key": { "x": 1 }, "expireAfterSeconds": 60 },
            doc! { "key": { "x": 1, "s": 1 }, "expireAfterSeconds": 0 },
            doc! { "key": { "e": 1 }, "expireAfterSeconds": 0 },
            doc! { "key": { "x": "hashed" }, "expireAfterSeconds": 0 },
            doc! { "key": { "x": 1 }, "expireAfterSeconds": f64::NAN },
            doc! { "key": { "x": 1 }, "expireAfterSeconds": 0, "hidden": true },
            doc! { "key": { "x": 1 }, "expireAfterSeconds": 0, "partialFilterExpression": { "s": 1 } },
            doc! { "expireAfterSeconds": 0 },
            doc! {},
        ] {
            assert!(!Purpose::Removal.is_served_by(&v(other.clone())), "{other:?}");
        }
        assert!(
            Purpose::Removal
                .is_served_by(&doc! { "key": { "x": 1.0 }, "expireAfterSeconds": 0_i64 })
        );
        for other in [
            doc! { "key": { "s": 1 } },
            doc! { "key": { "_id": 1, "s": 1 } },
            doc! { "key": { "s": 1, "_id": -1 } },
            doc! { "key": { "s": "hashed" } },
            doc! { "key": { "s": 1, "_id": 1 }, "unique": true },
            doc! { "key": { "s": 1, "_id": 1 }, "partialFilterExpression": { "s": { "$gt": 1 } } },
        ] {
            assert!(!Purpose::Subject.is_served_by(&v(other.clone())), "{other:?}");
        }
        assert!(Purpose::Subject.is_served_by(&doc! { "key": { "s": 1, "_id": 1 } }));
    }
}
