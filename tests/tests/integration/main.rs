//! The integration tests: real sockets, a module per subject. They run against
//! the bundled server, or against the ensemble that `ZK_TEST_CONNECT` names
//! (`ZK_TEST_VERSION` says its release, `ZK_TEST_SHORT=1` asks for fewer
//! repetitions).
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod acl;
mod bad_input;
mod cancel;
mod chroot;
mod data;
mod limits;
mod multi;
mod order;
mod recipes;
mod reconnect;
mod session;
mod tls;
mod unattended;
mod watches;

use zk_tests::bundled_only;

#[test]
fn few_tests_need_the_bundled_server() {
    bundled_only::print_list();
    assert!(bundled_only::BUNDLED_ONLY.len() <= 10);
}
