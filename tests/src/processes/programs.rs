//! How the processes of each kind are started.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Failure, Kind};

/// Fetches Apache's releases; beside this package.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/apache.sh");

/// `super:admin`, as `scripts/apache.sh` gives its servers.
const SUPER_DIGEST: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";

/// As small and as quick to start as a JVM can be; and the leader says at `debug` alone
/// that it cuts a learner's log.
const JVM: &[&str] = &[
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.quorum.LearnerHandler=debug",
];

/// Everything that peers of some kinds need, in place.
#[derive(Debug)]
pub(super) struct Programs {
    java: OsString,
    /// Where `scripts/apache.sh` keeps releases.
    cache: PathBuf,
    /// The binary `zk-server`.
    server: PathBuf,
}

impl Programs {
    /// Fetches what is Apache's and builds what is ours, as far as `kinds` asks for it.
    pub(super) fn prepare(kinds: &[Kind]) -> Result<Self, Failure> {
        let programs = Self {
            java: java(),
            cache: cache()?,
            server: beside_this_program("zk-server")?,
        };
        for kind in kinds {
            match kind {
                Kind::Java(version) => run(Command::new(SCRIPT).args(["fetch", version]))?,
                Kind::Rust => build_server()?,
            }
        }
        Ok(programs)
    }

    /// What serves by the configuration `config`.
    pub(super) fn command(&self, kind: &Kind, config: &Path) -> Command {
        match kind {
            Kind::Java(version) => {
                let mut command = Command::new(&self.java);
                command
                    .arg("-cp")
                    .arg(self.cache.join(version).join("lib/*"));
                command.args(JVM).arg(format!(
                    "-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}"
                ));
                command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
                command.arg(config);
                command
            }
            Kind::Rust => {
                let mut command = Command::new(&self.server);
                // A backtrace would be all that is shown of the end of a log.
                command.env("RUST_BACKTRACE", "0");
                command.arg("start-foreground").arg(config);
                command
            }
        }
    }
}

fn java() -> OsString {
    match env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin/java").into_os_string(),
        None => "java".into(),
    }
}

fn cache() -> Result<PathBuf, Failure> {
    if let Some(cache) = env::var_os("ZK_APACHE_CACHE") {
        return Ok(cache.into());
    }
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(base) => base.into(),
        None => Path::new(&env::var_os("HOME").ok_or("neither ZK_APACHE_CACHE nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("zk-apache"))
}

/// Cargo puts all binaries of a profile into one directory, and tests into one below.
fn beside_this_program(name: &str) -> io::Result<PathBuf> {
    let mut dir = env::current_exe()?;
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    Ok(dir.join(name).with_extension(env::consts::EXE_EXTENSION))
}

/// With the features that this package asks of what they share: nothing is built twice.
/// Run by hand this program takes the binary that is there.
fn build_server() -> Result<(), Failure> {
    let Some(cargo) = env::var_os("CARGO") else {
        return Ok(());
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--package", "zk-server"]);
    command.args(["--package", "zk-tests", "--bin", "zk-server"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    run(command.current_dir(env!("CARGO_MANIFEST_DIR")))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {status}").into())
}
