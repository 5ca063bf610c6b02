//! What the test harness says.

/// A run of tests.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) passed: usize,
    pub(super) failed: Vec<Failed>,
}

/// A test that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) name: String,
    pub(super) output: String,
}

/// How errors of the client, and of sockets, name the loss of a connection.
const LOSSES: &[&str] = &[
    "ConnectionLost",
    "connection lost",
    "ConnectionReset",
    "Connection reset",
    "ConnectionRefused",
    "Connection refused",
    "BrokenPipe",
    "Broken pipe",
    "UnexpectedEof",
    // Work that is to end with the connection.
    "Lost(InDoubt)",
];

impl Failed {
    /// Whether it says so itself, in the message of its panic.
    pub(super) fn has_lost_connection(&self) -> bool {
        let mut panics = self.output.split(" panicked at ").skip(1);
        panics.any(|panic| LOSSES.iter().any(|loss| panic.contains(loss)))
    }
}

impl Report {
    pub(super) fn read(output: &str) -> Self {
        let mut report = Self::default();
        for line in output.lines() {
            let Some(test) = line.strip_prefix("test ") else {
                continue;
            };
            if test.ends_with(" ... ok") {
                report.passed += 1;
            } else if let Some(name) = test.strip_suffix(" ... FAILED") {
                report.failed.push(Failed {
                    name: name.to_owned(),
                    output: output_of(output, name),
                });
            }
        }
        report
    }
}

/// What is told of a test that failed, behind the list.
fn output_of(output: &str, name: &str) -> String {
    let head = format!("---- {name} stdout ----\n");
    let Some((_, text)) = output.split_once(&head) else {
        return String::new();
    };
    let end = text.find("\n---- ").or_else(|| text.find("\nfailures:\n"));
    text[..end.unwrap_or(text.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_their_reasons_are_found() {
        let output = "\
            running 3 tests\n\
            test a::passes ... ok\n\
            test a::loses ... FAILED\n\
            test a::differs ... FAILED\n\
            \n\
            failures:\n\
            \n\
            ---- a::loses stdout ----\n\
            \n\
            thread 'a::loses' (7) panicked at tests/a.rs:1:2:\n\
            called `Result::unwrap()` on an `Err` value: ConnectionLost { outcome: Unknown }\n\
            \n\
            ---- a::differs stdout ----\n\
            after ConnectionLost\n\
            thread 'a::differs' (7) panicked at tests/a.rs:1:2:\n\
            assertion `left == right` failed\n\
            \n\
            \n\
            failures:\n    a::loses\n    a::differs\n";
        let report = Report::read(output);
        assert_eq!(report.passed, 1);
        let told = report.failed.iter();
        let told: Vec<_> = told
            .map(|test| (&*test.name, test.has_lost_connection()))
            .collect();
        assert_eq!(told, [("a::loses", true), ("a::differs", false)]);
    }
}
