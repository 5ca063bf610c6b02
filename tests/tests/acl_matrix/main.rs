//! Who may do what: every operation, with each permission alone, under each scheme,
//! answered as Apache ZooKeeper 3.9.5 answers it. `apache-3.9.5.txt` is what that said;
//! `scripts/security.sh acl_matrix` asks it again.
//!
//! `ZK_ACL_SERVER` names a server to ask instead of the bundled one, which has to have
//! the users of [`server::USERS`] and the superuser of `scripts/apache.sh`, and has to be
//! new: the table tells of znodes by the names they got. `ZK_ACL_RECORD` names a file to
//! write the answers to, instead of comparing them.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

mod asking;
mod operations;
mod rows;
mod server;
mod subjects;

use server::Place;

/// What Apache said.
const GOLDEN: &str = include_str!("apache-3.9.5.txt");

#[tokio::test]
async fn every_operation_is_allowed_and_refused_as_by_apache() {
    let place = Place::start().await;
    let mut lines = rows::matrix(place.host()).await;
    lines.extend(rows::invalid_acls(place.host()).await);
    lines.extend(rows::credentials(place.host()).await);
    if let Ok(file) = std::env::var("ZK_ACL_RECORD") {
        std::fs::write(file, lines.join("\n") + "\n").unwrap();
        return;
    }
    let golden: Vec<&str> = GOLDEN.lines().collect();
    let differing: Vec<String> = golden
        .iter()
        .zip(&lines)
        .filter(|(apache, seen)| *apache != seen)
        .map(|(apache, seen)| format!("apache  {apache}\nhere    {seen}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(golden.len(), lines.len(), "rows of the table");
}
