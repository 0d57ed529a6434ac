//! Chapter "Sessions".

mod first;
mod life;
mod limits;
mod merging;
mod random;
mod unreadable;

pub(crate) use first::{first_write_creates_the_session, nothing_written_is_nothing_stored};
pub(crate) use life::{
    deadlines_end_the_session, ended_session_stays_ended, touches_are_few_and_enough,
};
pub(crate) use limits::limits_leave_the_old_data;
pub(crate) use merging::{
    clear_empties_everything, different_keys_are_both_kept, flash_is_shown_and_gone,
    increments_are_all_counted, policies_do_what_they_say, removed_key_stays_removed,
    required_key_refuses_the_merge, same_key_has_the_later_value,
};
pub(crate) use random::failing_random_stores_nothing;
pub(crate) use unreadable::unreadable_session_is_kept;
