//! The table of rules.

use std::fmt;

use futures_util::future::BoxFuture;
use session_core::CONTRACT;

use crate::cx::Cx;
use crate::verdict::Checked;

/// A rule of the contract, and its test.
pub struct Rule {
    id: &'static str,
    group: &'static str,
    name: &'static str,
    run: for<'a> fn(&'a Cx) -> BoxFuture<'a, Checked>,
}

impl Rule {
    /// The number of the rule in the contract, say `"C02"`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// The chapter, as a path segment.
    #[must_use]
    pub const fn group(&self) -> &'static str {
        self.group
    }

    /// The name of the rule's test in its chapter.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Group and name, as test runners show and filter them: `create::created_record_is_loaded`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }

    /// What the contract says.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        contract_lines()
            .find(|(id, _)| *id == self.id)
            .map_or("(not in the contract)", |(_, sentence)| sentence)
    }

    /// The optional trait without which the rule says nothing.
    #[must_use]
    pub(crate) fn needs(&self) -> Option<Feature> {
        match self.group {
            "subject_index" | "users" => Some(Feature::SubjectIndex),
            "inspect" => Some(Feature::Inspect),
            "purge" => Some(Feature::Purge),
            _ => None,
        }
    }

    pub(crate) fn run<'a>(&self, cx: &'a Cx) -> BoxFuture<'a, Checked> {
        (self.run)(cx)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({} {})", self.id, self.path())
    }
}

/// An optional trait of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    SubjectIndex,
    Inspect,
    Purge,
}

/// The rules of the contract: number and sentence, in its order.
pub(crate) fn contract_lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONTRACT.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("** "))
}

/// Every rule of the suite, in the order of the contract.
///
/// ```
/// let first = &conformance_tests::rules()[0];
/// assert_eq!((first.id(), first.path().as_str()), ("C01", "create::created_record_is_loaded"));
/// ```
#[must_use]
pub fn rules() -> &'static [Rule] {
    TABLE
}

/// The one list of rules: `group { name = "ID", .. }`. Whoever needs it hands in a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule_table {
    ($callback:path) => {
        $callback! {
            create {
                created_record_is_loaded = "C01",
                live_id_is_refused = "C02",
                over_id_gives_no_old_data = "C03",
                deleted_id_is_free = "C04",
                past_end_is_accepted_and_never_visible = "C05",
                concurrent_creates_have_one_winner = "C06",
                payload_limit_is_exact = "C07",
            }
            load {
                bytes_come_back_exactly = "R01",
                unknown_id_is_none = "R02",
                loading_changes_nothing = "R03",
                every_handle_sees_a_write_at_once = "R04",
            }
            update {
                expected_revision_replaces_the_content = "U01",
                other_revision_conflicts = "U02",
                unknown_id_is_missing = "U03",
                over_record_is_not_revived = "U04",
                payload_shrinks_and_grows = "U05",
                payload_limit_is_exact = "U06",
                idle_deadline_never_moves_back = "U07",
                deadline_is_stored_as_given = "U08",
                all_fields_change_together = "U09",
                same_update_twice_is_updated_twice = "U10",
                touch_is_no_conflict = "U11",
                earlier_life_conflicts = "U12",
                concurrent_updates_have_one_winner = "U13",
                no_increment_is_lost = "U14",
            }
            touch {
                idle_deadline_moves_forward = "T01",
                idle_deadline_never_moves_back = "T02",
                everything_else_stays = "T03",
                unknown_id_is_missing = "T04",
                over_record_is_not_revived = "T05",
                deadline_caps_the_life = "T06",
            }
            delete {
                live_record_is_deleted_once = "D01",
                unknown_id_is_false = "D02",
                session_is_gone_on_every_handle = "D03",
                over_record_is_false_and_gone = "D04",
                nothing_brings_it_back = "D05",
                concurrent_deletes_have_one_winner = "D06",
                delete_wins_over_writers = "D07",
            }
            expiry {
                idle_deadline_is_exact = "E01",
                absolute_deadline_is_exact = "E02",
                ends_of_the_range_are_exact = "E03",
                milliseconds_are_kept = "E04",
                over_records_are_not_listed = "E05",
                clock_ahead_destroys_nothing = "E06",
                margin_is_longer_than_a_minute = "E07",
            }
            isolation {
                namespaces_do_not_meet = "I01",
                two_handles_are_one_store = "I02",
                records_outlive_their_handles = "I03",
            }
            errors {
                no_text_shows_a_secret = "X01",
                kinds_are_as_named = "X02",
                foreign_cursors_are_refused = "X03",
                corrupt_record_is_contained = "X04",
            }
            concurrency {
                histories_are_linearizable = "L01",
                dropped_calls_leave_order = "L02",
                dropped_calls_keep_no_connection = "L03",
            }
            subject_index {
                exactly_the_live_sessions_are_listed = "S01",
                listed_when_the_login_has_returned = "S02",
                rotation_changes_nothing_in_the_list = "S03",
                delete_all_deletes_and_counts = "S04",
                delete_all_leaves_the_exception = "S05",
                delete_one_only_for_its_subject = "S06",
                pages_are_bounded_and_complete = "S07",
                subjects_are_compared_as_bytes = "S08",
                no_earlier_login_survives_delete_all = "S09",
                concurrent_logins_are_all_listed = "S10",
                list_is_the_set_of_live_sessions = "S11",
                raised_deadline_is_listed_to_its_end = "S12",
                nothing_comes_back_after_delete_all = "S13",
                summary_carries_the_record = "S14",
            }
            inspect {
                scan_sees_every_live_session = "N01",
                scan_goes_on_beside_traffic = "N02",
                count_is_exact_or_says_so = "N03",
            }
            purge {
                exactly_what_is_over_is_removed = "P01",
                limit_is_kept = "P02",
                touched_record_is_spared = "P03",
                purgers_beside_traffic = "P04",
            }
            sessions {
                first_write_creates_the_session = "K01",
                nothing_written_is_nothing_stored = "K02",
                different_keys_are_both_kept = "K03",
                same_key_has_the_later_value = "K04",
                removed_key_stays_removed = "K05",
                clear_empties_everything = "K06",
                increments_are_all_counted = "K07",
                required_key_refuses_the_merge = "K08",
                policies_do_what_they_say = "K09",
                flash_is_shown_and_gone = "K10",
                limits_leave_the_old_data = "K11",
                ended_session_stays_ended = "K12",
                deadlines_end_the_session = "K13",
                touches_are_few_and_enough = "K14",
                failing_random_stores_nothing = "K15",
                unreadable_session_is_kept = "K16",
            }
            rotation {
                old_token_opens_inside_the_grace_only = "O01",
                one_of_two_rotations_wins = "O02",
                superseded_then_unknown = "O03",
                superseded_request_is_refused = "O04",
                rotated_token_dies_with_its_session = "O05",
                rotation_changes_the_secret_only = "O06",
                login_begins_afresh = "O07",
                named_keys_are_carried_over = "O08",
                another_user_is_another_session = "O09",
                login_too_late_begins_a_new_session = "O10",
                elevation_changes_secret_and_level = "O11",
                older_view_changes_nothing_after_a_login = "O12",
            }
            users {
                users_sessions_are_listed_and_destroyed = "V01",
                all_sessions_are_destroyed = "V02",
                the_newest_sessions_are_kept = "V03",
                realms_do_not_meet = "V04",
                sessions_are_modified_by_id = "V05",
            }
            faults {
                lost_is_never_an_answer = "F01",
                every_call_ends_in_time = "F02",
                lost_reply_of_a_write_is_unknown = "F03",
                calls_succeed_when_the_server_is_back = "F04",
                create_is_sent_once = "F05",
                dropped_calls_mix_up_no_replies = "F06",
                no_error_shows_a_secret = "F07",
                held_round_trips_leave_an_order = "F08",
                waiting_for_a_connection_ends_in_time = "F09",
                late_replies_reach_nobody = "F10",
                sends_of_one_call_leave_an_order = "F11",
            }
            round_trips {
                common_path_takes_one = "W01",
            }
            secrecy {
                what_is_stored_opens_nothing = "Y01",
                what_is_logged_shows_no_secret = "Y02",
                copied_record_opens_nothing = "Y03",
            }
        }
    };
}

macro_rules! registry {
    ($($group:ident { $($name:ident = $id:literal,)* })*) => {
        static TABLE: &[Rule] = &[$($(
            Rule {
                id: $id,
                group: stringify!($group),
                name: stringify!($name),
                run: |cx| Box::pin($crate::rules::$group::$name(cx)),
            },
        )*)*];
    };
}

__rule_table!(registry);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rules that the contract promises a test for.
    fn promised() -> BTreeSet<&'static str> {
        let mut promised = BTreeSet::new();
        for line in CONTRACT.lines() {
            let Some((id, sentence)) = line.strip_prefix("- **").and_then(|l| l.split_once("** "))
            else {
                continue;
            };
            if !sentence.ends_with("*(not yet in the suite)*") {
                promised.insert(id);
            }
        }
        promised
    }

    #[test]
    fn the_table_and_the_contract_name_the_same_rules() {
        let tested: BTreeSet<_> = rules().iter().map(Rule::id).collect();
        assert_eq!(tested, promised());
        assert_eq!(tested.len(), rules().len(), "a number is used twice");
    }

    #[test]
    fn every_name_is_used_once_and_every_rule_has_a_sentence() {
        let paths: BTreeSet<_> = rules().iter().map(Rule::path).collect();
        assert_eq!(paths.len(), rules().len());
        for rule in rules() {
            assert!(rule.sentence().ends_with('.'), "{rule:?}: {}", rule.sentence());
        }
    }
}
