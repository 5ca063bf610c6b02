//! The reference: an Apache ZooKeeper of its own for each run.

use std::io::{self, BufRead, BufReader, Error};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Configuration;

/// The release that the bundled server behaves as.
const VERSION: &str = "3.9.5";

/// A running server, stopped when dropped, or when this process ends however it
/// ends: the script waits for the end of a pipe that only this process holds.
#[derive(Debug)]
pub struct Apache {
    script: Child,
    address: SocketAddr,
}

impl Apache {
    /// Starts one with `scripts/apache.sh`.
    ///
    /// # Errors
    ///
    /// The script cannot be run, or does not say where its server listens; what
    /// it has to say about that is on the standard error.
    pub fn start(script: &Path, configuration: &Configuration) -> io::Result<Self> {
        let mut script = Command::new(script)
            .args(["with", VERSION])
            .args(configuration.arguments())
            .args(["--", "sh", "-c", "echo \"$ZK_TEST_CONNECT\"; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        if let Some(stdout) = &mut script.stdout {
            BufReader::new(stdout).read_line(&mut address)?;
        }
        match address.trim().parse() {
            Ok(address) => Ok(Self { script, address }),
            Err(_) => {
                end(&mut script);
                Err(Error::other("the script has not started a server"))
            }
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        end(&mut self.script);
    }
}

fn end(script: &mut Child) {
    drop(script.stdin.take());
    // Nothing is left to be done about a script that cannot be waited for.
    let _ = script.wait();
}
