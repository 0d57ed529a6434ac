//! The names of tables and attributes.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType};
use session_core::{SessionId, StoreError, StoreErrorKind};

use crate::layout;

/// Longer than any name that we make, and as long as a key attribute's may be.
const MAX_ATTRIBUTE_LEN: usize = 255;
const TABLE_LEN: std::ops::RangeInclusive<usize> = 3..=255;

/// Names of tables, and of the two attributes that others may want to name. Checked, so that they need no
/// quoting; in expressions they stand behind placeholders all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The table of the records.
    pub(crate) sessions: String,
    /// The table of the index entries.
    pub(crate) subjects: String,
    /// The attribute with the id, in both tables.
    pub(crate) id: String,
    /// The attribute that DynamoDB's own expiry looks at, in both tables.
    pub(crate) ttl: String,
    pub(crate) id_form: IdForm,
}

/// How an id is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// Sixteen bytes.
    Binary,
    /// Thirty-two hexadecimal digits, for tables whose key is a string.
    Text,
}

impl Names {
    pub(crate) const DEFAULT_TABLE: &str = "sessions";
    pub(crate) const DEFAULT_ID: &str = "id";
    pub(crate) const DEFAULT_TTL: &str = "ttl";

    pub(crate) fn checked(self) -> Result<Self, StoreError> {
        let plain = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            name.bytes().all(allowed)
        };
        for table in [&self.sessions, &self.subjects] {
            if !TABLE_LEN.contains(&table.len()) || !plain(table) {
                return Err(config("a table name has 3 to 255 characters of a-z A-Z 0-9 _ . -"));
            }
        }
        if self.sessions == self.subjects {
            return Err(config("sessions and subjects need a table each"));
        }
        for attribute in [&self.id, &self.ttl] {
            // Those of one letter are ours.
            if !(2..=MAX_ATTRIBUTE_LEN).contains(&attribute.len()) || !plain(attribute) {
                return Err(config(
                    "an attribute name has 2 to 255 characters of a-z A-Z 0-9 _ . -",
                ));
            }
        }
        if self.id == self.ttl {
            return Err(config("id and expiry need an attribute each"));
        }
        Ok(self)
    }

    /// The value of the key attribute.
    pub(crate) fn id_value(&self, id: &SessionId) -> AttributeValue {
        match self.id_form {
            IdForm::Binary => AttributeValue::B(Blob::new(id.as_bytes())),
            IdForm::Text => AttributeValue::S(id.to_string()),
        }
    }

    /// The value of a key that no session has.
    pub(crate) fn no_id(&self) -> AttributeValue {
        match self.id_form {
            IdForm::Binary => AttributeValue::B(Blob::new([0; SessionId::LEN])),
            IdForm::Text => AttributeValue::S("none".to_owned()),
        }
    }

    /// The id in an item of either table; `None` for a key that is no id.
    pub(crate) fn id_in(&self, item: &layout::Item) -> Option<SessionId> {
        match (item.get(&self.id)?, self.id_form) {
            (AttributeValue::B(bytes), IdForm::Binary) => bytes.as_ref().try_into().ok(),
            (AttributeValue::S(text), IdForm::Text) => text.parse().ok(),
            _ => None,
        }
    }

    /// What the key attribute with the id must be.
    pub(crate) fn id_type(&self) -> ScalarAttributeType {
        match self.id_form {
            IdForm::Binary => ScalarAttributeType::B,
            IdForm::Text => ScalarAttributeType::S,
        }
    }
}

fn config(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Config, what)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn names() -> Names {
        Names {
            sessions: "sessions".to_owned(),
            subjects: "sessions-subjects".to_owned(),
            id: Names::DEFAULT_ID.to_owned(),
            ttl: Names::DEFAULT_TTL.to_owned(),
            id_form: IdForm::Binary,
        }
    }

    #[test]
    fn only_names_that_dynamodb_takes_are_accepted() {
        let long = "x".repeat(256);
        let good = [
            names(),
            Names { sessions: "a_1".into(), ..names() },
            Names { sessions: "x".repeat(255), ..names() },
            Names { id: "_idx".into(), ttl: "_ttl".into(), ..names() },
            Names { id: "token".into(), ttl: "timestamp".into(), ..names() },
        ];
        for names in good {
            assert!(names.clone().checked().is_ok(), "{names:?}");
        }
        for bad in ["", "ab", "a b", "a/b", "a#b", "a:b", "é__", "a\0b", "arn:aws:x", &long] {
            for names in [
                Names { sessions: bad.into(), ..names() },
                Names { subjects: bad.into(), ..names() },
            ] {
                assert_eq!(names.checked().unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
            }
        }
        for bad in ["", "e", "a b", "#n", ":v", "é_", "a\0", &long] {
            for names in [Names { id: bad.into(), ..names() }, Names { ttl: bad.into(), ..names() }]
            {
                assert_eq!(names.checked().unwrap_err().kind(), StoreErrorKind::Config, "{bad}");
            }
        }
        assert!(Names { ttl: "id".into(), ..names() }.checked().is_err());
        assert!(Names { subjects: "sessions".into(), ..names() }.checked().is_err());
    }

    #[test]
    fn ids_come_back_in_either_form() {
        let id = SessionId::from_bytes([0xab; 16]).unwrap();
        for id_form in [IdForm::Binary, IdForm::Text] {
            let names = Names { id_form, ..names() };
            let item = [(names.id.clone(), names.id_value(&id))].into();
            assert_eq!(names.id_in(&item), Some(id));
            let none = [(names.id.clone(), names.no_id())].into();
            assert_eq!(names.id_in(&none), None);
        }
        let text = Names { id_form: IdForm::Text, ..names() };
        assert_eq!(names().id_in(&[("id".to_owned(), text.id_value(&id))].into()), None);
        assert_eq!(names().id_in(&layout::Item::new()), None);
    }
}
