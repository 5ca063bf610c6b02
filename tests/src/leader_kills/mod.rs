//! Tests that run on an ensemble whose leader is killed again and again.
//!
//! A test that writes without retrying fails when its connection is lost, and should: then
//! it is run again, until it gets through. Only that excuse counts. A test that hangs, or
//! finds another tree, order, event or error than it should, has failed.
//!
//! All clients of a test are on one server (`ZK_TEST_ONE_SERVER`): one that has just come back
//! may be far behind another.
//!
//! [`ASSUME_LIFE`] lists the tests that cannot be run like this at all.

mod assume_life;
mod killing;
mod report;

use std::process::Stdio;

use tokio::process::Command;

pub use self::assume_life::ASSUME_LIFE;
pub use self::killing::{Kills, kill_leaders};
use self::report::Report;
use crate::processes::Failure;

/// How often a test may lose its connection: far more often than it will if it can get
/// through at all.
const ATTEMPTS: usize = 12;

/// Runs the tests of a command that ends in `cargo test ... --`, or is a test binary, until
/// each has passed once.
///
/// # Errors
///
/// Tests that failed for other reasons than a lost connection, or lost it every time.
pub async fn run_until_passed(command: &[String]) -> Result<(), Failure> {
    let skipped = skipped(command).await?;
    println!("{} tests assume that no server dies", skipped.len() / 2);
    let mut wanted = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let mut arguments = vec!["--exact".to_owned()];
        arguments.extend(if attempt == 1 {
            skipped.clone()
        } else {
            wanted
        });
        let report = Report::read(&run(command, &arguments).await?);
        let (excused, failed): (Vec<_>, Vec<_>) = report
            .failed
            .iter()
            .partition(|test| test.has_lost_connection());
        let passed = report.passed;
        println!(
            "attempt {attempt}: {passed} passed, {} lost their connection",
            excused.len()
        );
        if !failed.is_empty() {
            let told = failed
                .iter()
                .map(|test| format!("{}:\n{}", test.name, test.output));
            return Err(told.collect::<Vec<_>>().join("\n").into());
        }
        if passed + excused.len() == 0 {
            return Err("no test was run".into());
        }
        wanted = excused.iter().map(|test| test.name.clone()).collect();
        if wanted.is_empty() {
            return Ok(());
        }
    }
    Err(format!(
        "lost their connection {ATTEMPTS} times: {}",
        wanted.join(", ")
    )
    .into())
}

/// What is to be left out of the tests that there are.
async fn skipped(command: &[String]) -> Result<Vec<String>, Failure> {
    let list = run(command, &["--list".to_owned()]).await?;
    let there: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let skipped = ASSUME_LIFE.iter().map(|(test, _)| *test);
    if let Some(test) = skipped.clone().find(|test| !there.contains(test)) {
        return Err(format!(
            "there is no test {test}, which is said to assume that no server dies"
        )
        .into());
    }
    Ok(skipped
        .flat_map(|test| ["--skip".to_owned(), test.to_owned()])
        .collect())
}

/// What the command says on its standard output.
async fn run(command: &[String], arguments: &[String]) -> Result<String, Failure> {
    let (program, first) = command.split_first().ok_or("no command")?;
    let output = Command::new(program)
        .args(first)
        .env("ZK_TEST_ONE_SERVER", "1")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
