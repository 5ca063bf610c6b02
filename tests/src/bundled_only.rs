//! The tests that need what only the bundled server offers. Everything else runs
//! against any ensemble.

use std::io::Write;

/// Test and reason. At most ten.
pub const BUNDLED_ONLY: &[(&str, &str)] = &[
    (
        "data::modes::containers_and_ttl_znodes_are_reaped",
        "Apache's reaper runs once a minute",
    ),
    (
        "limits::one_address_gets_only_so_many_connections",
        "needs a server configured with a small limit",
    ),
    (
        "limits::a_hard_quota_refuses_what_exceeds_it",
        "needs a server configured to enforce quotas",
    ),
    (
        "bad_input::hostile_client::the_reapers_operation_is_not_for_clients",
        "Apache obeys a client that sends it",
    ),
    (
        "bad_input::hostile_client::modes_that_do_not_fit_their_operation_are_refused",
        "some of them damage Apache's log",
    ),
    (
        "bad_input::hostile_client::bodies_that_cannot_be_read_are_answered_and_the_connection_stays",
        "one such write stalls a whole Apache ensemble",
    ),
    (
        "reconnect::survival::a_server_that_restarts_keeps_its_sessions",
        "needs to restart the server",
    ),
    (
        "tls::bundled::certificates_are_identities",
        "needs a server that speaks TLS",
    ),
];

/// Whether the test may run: against the bundled server always; against a
/// foreign ensemble a test of [`BUNDLED_ONLY`] may not.
///
/// # Panics
///
/// If the test is not on the list.
pub fn may_run(test: &str) -> bool {
    assert!(
        BUNDLED_ONLY.iter().any(|(name, _)| *name == test),
        "{test} is not on the list of tests for the bundled server alone"
    );
    !crate::target::is_foreign()
}

/// Prints the list, past the test harness, which would keep it to itself.
pub fn print_list() {
    let mut text = format!("{} tests need the bundled server:\n", BUNDLED_ONLY.len());
    for (test, reason) in BUNDLED_ONLY {
        text += &format!("  {test}: {reason}\n");
    }
    // A closed standard error is nothing to fail over.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Ends the test here when it runs against a foreign ensemble; the test must be
/// on the list [`BUNDLED_ONLY`](crate::bundled_only::BUNDLED_ONLY).
#[macro_export]
macro_rules! bundled_only {
    ($test:literal) => {
        if !$crate::bundled_only::may_run($test) {
            return;
        }
    };
}
