//! Conditions and other expressions. Every name stands behind a placeholder: `#id` and `#ttl` for the
//! configured attributes, `#` and the letter for ours.

use std::collections::HashMap;

use crate::names::Names;

/// There is no record under the id.
pub(crate) const ABSENT: &str = "attribute_not_exists(#id)";

/// The record has the expected revision and our format, is live, and its idle deadline would not move back.
pub(crate) const REPLACEABLE: &str =
    "#r = :r AND #e > :now AND #e <= :e AND #d > :now AND #d <= :max AND attribute_not_exists(#f)";

/// The record is live and would live on longer.
pub(crate) const EXTENSIBLE: &str = "#e > :now AND #e < :e AND #d > :now AND #d <= :max";
pub(crate) const EXTEND: &str = "SET #e = :e, #ttl = :ttl";

/// The entry is new, or its deadline is raised.
pub(crate) const ENTERABLE: &str = "attribute_not_exists(#d) OR #d < :d";
pub(crate) const ENTER: &str = "SET #d = :d, #ttl = :ttl";

/// There is a record under the id. Asked for also where it makes no difference: without a condition, DynamoDB
/// Local deletes twice what two ask for at the same time.
pub(crate) const PRESENT: &str = "attribute_exists(#id)";

/// The record is the subject's.
pub(crate) const OF_SUBJECT: &str = "#s = :s";

/// The record is the subject's, or cannot be read.
pub(crate) const OF_SUBJECT_OR_UNREADABLE: &str = "attribute_exists(#id) AND (#s = :s OR NOT (\
     attribute_type(#r, :B) AND size(#r) = :r AND attribute_type(#h, :B) AND size(#h) = :h \
     AND #e BETWEEN :min AND :max AND #d BETWEEN :min AND :max AND #c BETWEEN :min AND :max \
     AND (attribute_not_exists(#s) OR attribute_type(#s, :B))))";

/// The record is live, as far as its times say.
pub(crate) const LIVE: &str = "#e > :now AND #e <= :max AND #d > :now AND #d <= :max";

/// The entries of a subject.
pub(crate) const ENTRIES: &str = "#s = :s";
/// Those whose record may be live.
pub(crate) const ENTRY_NOT_OVER: &str = "#d > :now";

/// What is read of an item after a refused write.
pub(crate) const STATE: &str = "#f, #r, #e, #d";
/// What a listing reads of a record.
pub(crate) const HEAD: &str = "#id, #f, #r, #e, #d, #c, #h, #s, #a, #l";
/// What a walk reads of an index entry.
pub(crate) const ID: &str = "#id";

/// What the placeholders in these expressions stand for.
pub(crate) fn placeholders(names: &Names, expressions: &[&str]) -> HashMap<String, String> {
    let mut meanings = HashMap::new();
    for part in expressions.iter().flat_map(|expression| expression.split('#').skip(1)) {
        let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let word = &part[..end];
        let name = match word {
            "id" => &names.id,
            "ttl" => &names.ttl,
            ours => ours,
        };
        meanings.insert(format!("#{word}"), name.to_owned());
    }
    meanings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::tests::names;

    #[test]
    fn placeholders_are_found_and_the_configured_names_are_used() {
        let names = Names { id: "_idx".into(), ttl: "_ttl".into(), ..names() };
        let found = placeholders(&names, &[EXTENSIBLE, EXTEND, ABSENT]);
        let expected = [("#e", "e"), ("#d", "d"), ("#ttl", "_ttl"), ("#id", "_idx")]
            .map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned()));
        assert_eq!(found, expected.into());
        assert!(placeholders(&names, &[]).is_empty());
    }

    #[test]
    fn no_expression_names_an_attribute_without_a_placeholder() {
        let keywords = [
            "SET",
            "AND",
            "OR",
            "NOT",
            "BETWEEN",
            "attribute_exists",
            "attribute_not_exists",
            "attribute_type",
            "size",
        ];
        for expression in [
            ABSENT,
            PRESENT,
            REPLACEABLE,
            EXTENSIBLE,
            EXTEND,
            ENTERABLE,
            ENTER,
            OF_SUBJECT,
            OF_SUBJECT_OR_UNREADABLE,
            LIVE,
            ENTRIES,
            ENTRY_NOT_OVER,
            STATE,
            HEAD,
            ID,
        ] {
            let words = expression.split([' ', '(', ')', ',', '=', '<', '>']);
            for word in words.filter(|word| !word.is_empty()) {
                let marked = word.starts_with('#') || word.starts_with(':');
                assert!(marked || keywords.contains(&word), "{word} in {expression}");
            }
        }
    }
}
