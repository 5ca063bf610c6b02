//! Which tests cannot do with servers that die.

const CONNECTIONS: &str = "counts how many connections a client opens";
const PROCESS: &str = "runs in a process of its own, and cuts its connections itself";
const REPEATS: &str = "deletes again what a lost answer had deleted, and counts that as failure";
const REQUESTS: &str = "counts requests, of which a lost connection costs more";
const STAYS: &str = "is about a connection that must stay";
/// Test and reason: those whose subject is a connection that must not be lost meanwhile, so
/// that on a loss they fail in other ways than by telling it.
pub const ASSUME_LIFE: &[(&str, &str)] = &[
    (
        "limits::a_reply_over_the_limit_fails_its_call_and_does_not_loop",
        CONNECTIONS,
    ),
    (
        "limits::a_request_over_the_frame_limit_is_not_sent",
        CONNECTIONS,
    ),
    (
        "limits::no_more_than_max_in_flight_is_on_the_wire",
        REQUESTS,
    ),
    ("recipes::mutex::one_waiter_wakes_per_release", REQUESTS),
    (
        "reconnect::soak::a_thousand_reconnects_lose_nothing_and_leak_nothing",
        PROCESS,
    ),
    (
        "reconnect::liveness::a_connection_that_still_delivers_bytes_is_alive",
        STAYS,
    ),
    (
        "reconnect::liveness::latency_below_the_read_timeout_costs_no_connection",
        STAYS,
    ),
    (
        "reconnect::outcome::a_call_that_no_answer_comes_for_fails_at_its_deadline_and_the_connection_stays",
        STAYS,
    ),
    (
        "session::hosts::a_client_whose_server_stays_on_a_list_no_longer_stays_too",
        STAYS,
    ),
    (
        "session::old_servers::an_operation_that_is_known_but_switched_off_costs_no_connection",
        CONNECTIONS,
    ),
    (
        "session::old_servers::create2_falls_back_to_create_and_exists",
        CONNECTIONS,
    ),
    (
        "session::old_servers::multi_read_falls_back_to_single_reads",
        CONNECTIONS,
    ),
    (
        "session::old_servers::persistent_watches_that_a_server_cannot_take_over_say_that_they_are_gone",
        CONNECTIONS,
    ),
    (
        "session::old_servers::transactions_work_on_every_server",
        CONNECTIONS,
    ),
    (
        "session::old_servers::what_has_no_substitute_is_unsupported_and_says_what",
        CONNECTIONS,
    ),
    (
        "session::old_servers::what_was_learned_is_remembered_for_later_sessions_on_that_server",
        REQUESTS,
    ),
    (
        "session::old_servers::who_am_i_falls_back_to_what_was_presented",
        CONNECTIONS,
    ),
    (
        "cancel::a_protected_create_that_loses_its_connection_finds_what_it_made",
        REPEATS,
    ),
];
