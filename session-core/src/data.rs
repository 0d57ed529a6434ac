//! The application's data in a session, and the changes that one request makes to it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::payload::{Content, Flash};
use crate::random::{OsRandom, RandomSource, RandomUnavailable};
use crate::value::{ValueError, to_value};

/// String keys and JSON values, and a record of what was changed.
///
/// Changes are recorded by key, so that a commit which meets another request's commit can apply them again on
/// top of the other's data: requests that change different keys never lose each other's change. For
/// values that are computed from the old one (counters, lists) use [`alter`](SessionData::alter).
///
/// Limits are checked by the commit: 1,024 keys of 1 to 255 bytes, depth 64, and the size of the
/// payload; see [`LimitExceeded`](crate::LimitExceeded).
pub struct SessionData {
    /// What was stored when this request began; shared with `current` until something is changed.
    loaded: Arc<Content>,
    current: Arc<Content>,
    changes: Vec<DataChange>,
    unchanged_keys: Vec<String>,
    random: Arc<dyn RandomSource>,
}

#[derive(Clone)]
enum DataChange {
    Set(String, Value),
    Remove(String),
    Alter(String, Alteration),
    Clear,
    AddFlash(Flash),
    DropFlash(u64),
}

type Alteration = Arc<dyn Fn(Option<&Value>) -> Result<Value, DataError> + Send + Sync>;

impl SessionData {
    pub(crate) fn empty(random: Arc<dyn RandomSource>) -> Self {
        Self::loaded(Arc::default(), random)
    }

    pub(crate) fn loaded(content: Arc<Content>, random: Arc<dyn RandomSource>) -> Self {
        Self {
            current: Arc::clone(&content),
            loaded: content,
            changes: Vec::new(),
            unchanged_keys: Vec::new(),
            random,
        }
    }

    /// The value of `key`, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] when the stored value is not a `T`. The error does not show the value.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataError> {
        self.value(key).map(from_value).transpose()
    }

    /// The value of `key` as JSON.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.current.data.get(key)
    }

    /// Whether there is a value for `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.current.data.contains_key(key)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.current.data.keys().map(String::as_str)
    }

    /// Sets `key` to `value`. Setting the value that it has already is not a change.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] for a value that JSON cannot hold unchanged, such as NaN.
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<String>,
        value: &T,
    ) -> Result<(), DataError> {
        self.insert_value(key.into(), to_value(value)?);
        Ok(())
    }

    fn insert_value(&mut self, key: String, value: Value) {
        if self.current.data.get(&key) == Some(&value) {
            return;
        }
        self.forget_changes_of(&key);
        self.current_mut().data.insert(key.clone(), value.clone());
        self.changes.push(DataChange::Set(key, value));
    }

    /// Removes `key`, and says whether there was a value.
    pub fn remove(&mut self, key: &str) -> bool {
        if !self.contains(key) {
            return false;
        }
        self.current_mut().data.remove(key);
        self.forget_changes_of(key);
        self.changes.push(DataChange::Remove(key.to_owned()));
        true
    }

    /// Removes every value and every flash message, also those that another request adds before this one
    /// commits.
    pub fn clear(&mut self) {
        self.current = Arc::default();
        self.changes.clear();
        self.changes.push(DataChange::Clear);
    }

    /// Sets `key` to what `alteration` makes of its value.
    ///
    /// The closure runs at once, and again on the newer value when the commit has to be merged with another
    /// request's. It must do nothing but compute. Concurrent increments are all counted:
    ///
    /// ```
    /// # fn main() -> Result<(), session_core::DataError> {
    /// # let mut data = session_core::SessionData::default();
    /// data.alter("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    /// assert_eq!(data.get::<u64>("visits")?, Some(1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] when the stored value is not a `T`, [`DataError::Value`] when JSON cannot hold
    /// the new one. The data is then unchanged.
    pub fn alter<T, U>(
        &mut self,
        key: impl Into<String>,
        alteration: impl Fn(Option<T>) -> U + Send + Sync + 'static,
    ) -> Result<(), DataError>
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        let key = key.into();
        let alteration: Alteration = Arc::new(move |value| {
            let value = value.map(from_value).transpose()?;
            Ok(to_value(&alteration(value))?)
        });
        let value = alteration(self.current.data.get(&key))?;
        self.current_mut().data.insert(key.clone(), value);
        self.changes.push(DataChange::Alter(key, alteration));
        Ok(())
    }

    /// All values as one struct.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] when the data is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DataError> {
        let object = self.current.data.iter().map(|(key, value)| (key.clone(), value.clone()));
        serde_json::from_value(Value::Object(object.collect())).map_err(|_| DataError::WrongType)
    }

    /// Writes the fields of a struct: those whose value differs, and no others. Keys that the struct does
    /// not know stay. The struct itself counts as one level of the depth of its fields.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] when JSON cannot hold the struct, [`DataError::WrongType`] when it is not one.
    pub fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DataError> {
        let Value::Object(fields) = to_value(value)? else {
            return Err(DataError::WrongType);
        };
        for (key, value) in fields {
            self.insert_value(key, value);
        }
        Ok(())
    }

    /// Adds a message for the next request that reads it.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] when JSON cannot hold the value, [`DataError::Random`] when the random source fails.
    pub fn flash<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<String>,
        value: &T,
    ) -> Result<(), DataError> {
        let mut id = [0; 8];
        let value = to_value(value)?;
        self.random.fill(&mut id)?;
        let flash = Flash { id: u64::from_be_bytes(id), key: key.into(), value };
        self.current_mut().flash.push(flash.clone());
        self.changes.push(DataChange::AddFlash(flash));
        Ok(())
    }

    /// The flash messages of `key` in the order in which they were added. They are gone with the commit:
    /// exactly these, so that one which another request adds meanwhile is shown later. When the commit
    /// fails they are shown again: at least once, never lost.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] when one of them is not a `T`; then none is taken.
    pub fn take_flash<T: DeserializeOwned>(&mut self, key: &str) -> Result<Vec<T>, DataError> {
        let of_key = |flash: &&Flash| flash.key == key;
        let values = self.current.flash.iter().filter(of_key);
        let values: Vec<T> =
            values.map(|flash| from_value(&flash.value)).collect::<Result<_, _>>()?;
        if !values.is_empty() {
            let taken = self.current.flash.iter().filter(of_key);
            self.changes.extend(taken.map(|flash| DataChange::DropFlash(flash.id)));
            self.current_mut().flash.retain(|flash| flash.key != key);
        }
        Ok(values)
    }

    /// Whether there are flash messages of `key`.
    #[must_use]
    pub fn has_flash(&self, key: &str) -> bool {
        self.current.flash.iter().any(|flash| flash.key == key)
    }

    /// Keeps the flash messages of `key` that this request has taken for the next one as well, in their old order.
    /// Those that were taken before a login or another write that was made at once are gone.
    pub fn keep_flash(&mut self, key: &str) {
        let is_there = |id: u64| self.current.flash.iter().any(|flash| flash.id == id);
        let taken: Vec<Flash> = self
            .loaded
            .flash
            .iter()
            .filter(|flash| flash.key == key && !is_there(flash.id))
            .cloned()
            .collect();
        if taken.is_empty() || self.is_cleared() {
            return;
        }
        self.changes.retain(|change| match change {
            DataChange::DropFlash(id) => !taken.iter().any(|flash| flash.id == *id),
            _ => true,
        });
        self.current_mut().flash.splice(0..0, taken);
    }

    /// Forbids the merge when one of these keys was changed by another request since this one began: the commit
    /// is then refused with [`SessionError::Conflict`](crate::SessionError::Conflict).
    pub fn require_unchanged<K: Into<String>>(&mut self, keys: impl IntoIterator<Item = K>) {
        self.unchanged_keys.extend(keys.into_iter().map(Into::into));
    }

    /// Whether anything was changed since the data was loaded or committed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.data.len()
    }

    /// Whether there are neither values nor flash messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.data.is_empty() && self.current.flash.is_empty()
    }

    /// A later change of the whole value makes earlier ones of the key pointless.
    fn forget_changes_of(&mut self, key: &str) {
        self.changes.retain(|change| match change {
            DataChange::Set(of, _) | DataChange::Remove(of) | DataChange::Alter(of, _) => of != key,
            DataChange::Clear | DataChange::AddFlash(_) | DataChange::DropFlash(_) => true,
        });
    }

    /// What was there before is gone by this request's own hand.
    fn is_cleared(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, DataChange::Clear))
    }

    fn current_mut(&mut self) -> &mut Content {
        Arc::make_mut(&mut self.current)
    }

    /// The data as this request wants to see it stored, if nobody else wrote.
    pub(crate) const fn current(&self) -> &Arc<Content> {
        &self.current
    }

    /// Whether this request asked for keys that nobody else may change.
    pub(crate) const fn has_required_keys(&self) -> bool {
        !self.unchanged_keys.is_empty()
    }

    /// Refuses what another request stored meanwhile, if it changed a key that it may not.
    pub(crate) fn check_required_keys(&self, content: &Content) -> Result<(), MergeRefused> {
        let differs = |key: &String| content.data.get(key) != self.loaded.data.get(key);
        if self.unchanged_keys.iter().any(differs) { Err(MergeRefused::Changed) } else { Ok(()) }
    }

    /// Applies this request's changes to what another request stored meanwhile.
    pub(crate) fn merge_onto(&self, mut content: Content) -> Result<Content, MergeRefused> {
        self.check_required_keys(&content)?;
        for change in &self.changes {
            match change {
                DataChange::Set(key, value) => {
                    content.data.insert(key.clone(), value.clone());
                }
                DataChange::Remove(key) => {
                    content.data.remove(key);
                }
                DataChange::Alter(key, alteration) => {
                    let value = alteration(content.data.get(key))?;
                    content.data.insert(key.clone(), value);
                }
                DataChange::Clear => content = Content::default(),
                DataChange::AddFlash(flash) => content.flash.push(flash.clone()),
                DataChange::DropFlash(id) => content.flash.retain(|flash| flash.id != *id),
            }
        }
        Ok(content)
    }

    /// Takes `content` as what is stored now.
    pub(crate) fn committed(&mut self, content: Arc<Content>) {
        *self = Self::loaded(content, Arc::clone(&self.random));
    }
}

/// Empty data that belongs to no session, for tests of application code.
impl Default for SessionData {
    fn default() -> Self {
        Self::empty(Arc::new(OsRandom))
    }
}

/// Shows how much there is, and nothing of it.
impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionData")
            .field("keys", &self.current.data.len())
            .field("flash", &self.current.flash.len())
            .field("changed", &self.is_changed())
            .finish_non_exhaustive()
    }
}

/// The error of serde is dropped on purpose: it quotes the value.
fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DataError> {
    T::deserialize(value).map_err(|_| DataError::WrongType)
}

/// Why changes cannot be applied to what another request stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MergeRefused {
    Changed,
    Data(DataError),
}

impl From<DataError> for MergeRefused {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

/// A value cannot be put into, or taken out of, a session. No text shows the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The stored value is not of the type that was asked for.
    #[error("the stored value has another type")]
    WrongType,
    /// JSON cannot hold the value unchanged.
    #[error("the value cannot be stored")]
    Value(#[from] ValueError),
    /// The random source failed.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn with(pairs: &[(&str, u64)]) -> Content {
        let mut data = SessionData::default();
        for (key, value) in pairs {
            data.insert(*key, value).unwrap();
        }
        Content::clone(&data.current)
    }

    fn data_of(content: Content) -> SessionData {
        SessionData::loaded(Arc::new(content), Arc::new(OsRandom))
    }

    #[test]
    fn values_are_typed_and_errors_do_not_show_them() {
        let mut data = SessionData::default();
        data.insert("name", "canary").unwrap();
        assert_eq!(data.get::<String>("name").unwrap().as_deref(), Some("canary"));
        let error = data.get::<u64>("name").unwrap_err();
        assert_eq!(error, DataError::WrongType);
        assert!(!format!("{error} {error:?} {data:?}").contains("canary"));
        assert_eq!(data.get::<u64>("none").unwrap(), None);
    }

    #[test]
    fn equal_values_are_no_change_and_later_changes_replace_earlier_ones() {
        let mut data = data_of(with(&[("a", 1)]));
        data.insert("a", &1).unwrap();
        assert!(!data.is_changed());
        for value in 0..100_u64 {
            data.insert("a", &(value + 2)).unwrap();
        }
        assert_eq!(data.changes.len(), 1);
        assert!(data.remove("a"));
        assert!(!data.remove("a"));
        assert_eq!(data.changes.len(), 1);
    }

    #[test]
    fn changes_merge_by_key_in_order() {
        let mut data = data_of(with(&[("a", 1), ("b", 1), ("n", 5)]));
        data.insert("a", &2).unwrap();
        data.remove("b");
        data.alter("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
        let other = with(&[("a", 9), ("b", 9), ("n", 10), ("c", 3)]);
        assert_eq!(data.merge_onto(other).unwrap(), with(&[("a", 2), ("n", 11), ("c", 3)]));
    }

    #[test]
    fn clear_also_removes_what_others_added_and_keeps_what_came_after() {
        let mut data = data_of(with(&[("a", 1)]));
        data.insert("b", &1).unwrap();
        data.clear();
        data.insert("c", &1).unwrap();
        let merged = data.merge_onto(with(&[("a", 1), ("other", 1)])).unwrap();
        assert_eq!(merged, with(&[("c", 1)]));
    }

    #[test]
    fn a_required_key_refuses_the_merge_only_when_it_differs() {
        let mut data = data_of(with(&[("stock", 3)]));
        data.require_unchanged(["stock", "absent"]);
        data.insert("order", &1).unwrap();
        assert!(data.merge_onto(with(&[("stock", 3), ("x", 1)])).is_ok());
        assert!(matches!(data.merge_onto(with(&[("stock", 2)])), Err(MergeRefused::Changed)));
        assert!(data.merge_onto(with(&[("stock", 3), ("absent", 1)])).is_err());
    }

    #[test]
    fn an_alteration_that_fails_later_refuses_the_merge() {
        let mut data = SessionData::default();
        data.alter("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
        let mut other = SessionData::default();
        other.insert("n", "text").unwrap();
        assert!(matches!(
            data.merge_onto(Content::clone(&other.current)),
            Err(MergeRefused::Data(DataError::WrongType))
        ));
    }

    #[test]
    fn reading_flash_removes_exactly_what_was_read() {
        let mut first = SessionData::default();
        first.flash("note", "one").unwrap();
        first.flash("other", "stays").unwrap();
        let stored = Content::clone(&first.current);
        let mut reader = data_of(stored.clone());
        assert_eq!(reader.take_flash::<String>("note").unwrap(), ["one"]);
        assert!(reader.take_flash::<String>("note").unwrap().is_empty());
        let mut writer = data_of(stored);
        writer.flash("note", "two").unwrap();
        let mut merged = data_of(reader.merge_onto(Content::clone(&writer.current)).unwrap());
        assert_eq!(merged.take_flash::<String>("note").unwrap(), ["two"]);
        assert_eq!(merged.take_flash::<String>("other").unwrap(), ["stays"]);
        merged.flash("n", "text").unwrap();
        assert_eq!(merged.take_flash::<u64>("n"), Err(DataError::WrongType));
        assert_eq!(merged.take_flash::<String>("n").unwrap(), ["text"], "none was taken");
    }

    #[test]
    fn kept_flash_is_shown_once_more_and_nothing_else_is() {
        let mut first = SessionData::default();
        for text in ["one", "two"] {
            first.flash("note", text).unwrap();
        }
        first.flash("other", "taken").unwrap();
        let mut reader = data_of(Content::clone(&first.current));
        assert_eq!(reader.take_flash::<String>("note").unwrap(), ["one", "two"]);
        assert_eq!(reader.take_flash::<String>("other").unwrap(), ["taken"]);
        reader.flash("note", "three").unwrap();
        reader.keep_flash("note");
        reader.keep_flash("note");
        let mut next = data_of(reader.merge_onto(Content::clone(&first.current)).unwrap());
        assert_eq!(next.take_flash::<String>("note").unwrap(), ["one", "two", "three"]);
        assert!(next.take_flash::<String>("other").unwrap().is_empty());
        assert_eq!(reader.take_flash::<String>("note").unwrap(), ["one", "two", "three"]);
    }

    #[test]
    fn what_was_cleared_is_not_kept() {
        let mut first = SessionData::default();
        first.flash("note", "one").unwrap();
        let mut data = data_of(Content::clone(&first.current));
        data.clear();
        data.keep_flash("note");
        assert!(data.is_empty());
    }

    #[test]
    fn flash_that_was_kept_untouched_is_no_change() {
        let mut first = SessionData::default();
        first.flash("note", "one").unwrap();
        let mut data = data_of(Content::clone(&first.current));
        data.take_flash::<String>("note").unwrap();
        data.keep_flash("note");
        assert!(!data.is_changed());
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Cart {
        items: Vec<String>,
        total: u64,
    }

    #[test]
    fn a_struct_writes_only_what_differs_and_keeps_unknown_keys() {
        let mut data = data_of(with(&[("total", 7), ("unknown", 1)]));
        data.write(&Cart { items: vec!["tea".into()], total: 7 }).unwrap();
        assert_eq!(data.changes.len(), 1, "total is as it was");
        assert!(data.contains("unknown"));
        let cart: Cart = data.read().unwrap();
        assert_eq!(cart, Cart { items: vec!["tea".into()], total: 7 });
        assert_eq!(data.write(&3), Err(DataError::WrongType));
    }

    #[test]
    fn what_json_would_change_is_refused() {
        let mut data = SessionData::default();
        assert!(matches!(data.insert("x", &f64::NAN), Err(DataError::Value(_))));
        assert!(matches!(data.flash("x", &f32::INFINITY), Err(DataError::Value(_))));
        assert!(data.is_empty() && !data.is_changed());
    }
}
