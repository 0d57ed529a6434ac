//! The table of HTTP rules.

use std::fmt;

use futures_util::future::BoxFuture;
use session_http::CONTRACT;

use super::cx::HttpCx;
use super::rules;
use crate::verdict::Checked;

/// A rule of `session-http`, and its test.
pub struct HttpRule {
    id: &'static str,
    group: &'static str,
    name: &'static str,
    run: for<'a> fn(&'a HttpCx) -> BoxFuture<'a, Checked>,
}

impl HttpRule {
    /// The number of the rule, say `"H02"`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// The chapter, as a path segment.
    #[must_use]
    pub const fn group(&self) -> &'static str {
        self.group
    }

    /// The name of the rule's test within its chapter.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Group and name, as test runners show and filter them.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }

    /// What the rules of `session-http` say.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        sentences()
            .find(|(id, _)| *id == self.id)
            .map_or("(not among the rules)", |(_, sentence)| sentence)
    }

    pub(crate) fn run<'a>(&self, cx: &'a HttpCx) -> BoxFuture<'a, Checked> {
        (self.run)(cx)
    }
}

impl fmt::Debug for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRule({} {})", self.id, self.path())
    }
}

fn sentences() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONTRACT.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("** "))
}

/// Every HTTP rule, in the order of their document.
#[must_use]
pub fn http_rules() -> &'static [HttpRule] {
    TABLE
}

macro_rules! registry {
    ($($group:ident { $($name:ident = $id:literal,)* })*) => {
        static TABLE: &[HttpRule] = &[$($(
            HttpRule {
                id: $id,
                group: stringify!($group),
                name: stringify!($name),
                run: |cx| Box::pin(rules::$group::$name(cx)),
            },
        )*)*];
    };
}

registry! {
    cost {
        untouched_session_costs_nothing = "H01",
        reading_costs_one_call = "H02",
        writing_costs_two_calls = "H03",
        visitor_who_writes_nothing_stores_nothing = "H04",
    }
    cookies {
        first_write_sets_the_default_cookie = "H05",
        policies_are_sent_as_configured = "H06",
        cookie_is_sent_only_when_the_token_changes = "H07",
        one_response_has_one_cookie = "H08",
        names_are_compared_as_bytes = "H09",
        what_resembles_a_token_is_none = "H10",
        two_session_cookies_are_none = "H11",
        other_cookies_hide_nothing = "H12",
        several_headers_are_one = "H13",
        unknown_token_is_never_adopted = "H14",
        only_the_configured_place_is_read = "H15",
        bearer_tokens_travel_in_headers = "H16",
    }
    responses {
        looking_makes_the_response_private = "H17",
        headers_of_the_handler_are_kept = "H18",
        forwarded_headers_change_nothing = "H19",
    }
    commits {
        commit_comes_before_the_response = "H20",
        failed_commit_is_an_error_without_cookie = "H21",
        error_of_the_handler_commits_nothing = "H22",
        refusal_commits = "H23",
        what_was_written_at_once_stands = "H24",
        panic_commits_nothing = "H25",
        commit_ends_without_its_client = "H26",
        response_that_has_begun_is_not_written = "H27",
        interrupted_write_is_an_error = "H28",
        tasks_of_a_request_share_its_session = "H29",
    }
    trouble {
        store_down_is_503_and_keeps_the_cookie = "H30",
        overlooked_trouble_is_503 = "H31",
        error_page_of_the_handler_is_kept = "H32",
        carrying_on_reads_and_never_writes = "H33",
        failed_login_is_no_login = "H34",
        failed_logout_is_no_logout = "H35",
        failed_touch_fails_nothing = "H36",
        others_are_served_while_the_store_hangs = "H37",
    }
    logins {
        login_changes_the_token = "H38",
        login_keeps_what_was_named = "H39",
        logout_ends_the_session_everywhere = "H40",
        rest_of_a_logout_is_anonymous = "H41",
        late_request_brings_nothing_back = "H42",
        only_who_destroyed_it_removes_the_cookie = "H43",
        superseded_request_creates_nothing = "H44",
        rotation_has_a_grace = "H45",
        elevation_has_none = "H46",
        freshness_is_not_refreshed_by_use = "H47",
        sessions_end_at_their_deadlines = "H48",
        pipelined_logout_is_final = "H49",
    }
    devices {
        devices_are_listed = "H50",
        one_device_is_logged_out = "H51",
        others_are_logged_out = "H52",
        everywhere_is_here_too = "H53",
    }
    data {
        two_requests_keep_both_changes = "H54",
        increments_are_all_counted = "H55",
        flash_crosses_a_redirect_once = "H56",
    }
    defences {
        forged_requests_are_refused = "H57",
        visitors_need_the_word_of_their_browser = "H58",
        login_page_gets_the_way_back = "H59",
        foreign_redirects_are_refused = "H60",
        another_client_is_noticed = "H61",
        tenants_are_apart = "H62",
        unknown_site_has_no_session = "H63",
    }
    crowd {
        nobody_sees_the_session_of_another = "H64",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_and_the_document_name_the_same_rules() {
        let tested: Vec<_> = http_rules().iter().map(HttpRule::id).collect();
        let promised: Vec<_> = sentences().map(|(id, _)| id).collect();
        assert_eq!(tested, promised);
        let paths: BTreeSet<_> = http_rules().iter().map(HttpRule::path).collect();
        assert_eq!(paths.len(), http_rules().len());
        assert!(http_rules().iter().all(|rule| rule.sentence().ends_with('.')));
    }
}
