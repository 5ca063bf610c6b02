//! The differential test from the command line: the same seeded operations
//! through two servers, everything they are seen to do compared.
//!
//! ```text
//! cargo run -p zk-tests --bin differential -- --seed 1 --seeds 3 --ops 10000
//! ```
//!
//! Without further arguments the reference is an Apache ZooKeeper that is started
//! for each seed by `scripts/apache.sh`, the candidate the bundled server. Exits
//! with 1 at the first seed on which they differ, with 2 if there is no run.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;
use zk_tests::differential::{Apache, Bundled, Configuration, Coverage, Modelled, Run, shrink};

/// Starts an Apache; beside this package.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/apache.sh");

/// Drives the same operations through two ZooKeeper servers and compares
/// replies, Stats, error codes, zxids, watch events and closed connections.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Operations per seed.
    #[arg(long, visible_alias = "until", default_value_t = 10_000)]
    ops: usize,
    /// What is right: `apache`, `bundled`, `model` (the simulator's), or the address of a
    /// fresh server.
    #[arg(long, visible_alias = "apache", default_value = "apache")]
    reference: Which,
    /// What is tested, likewise.
    #[arg(long, visible_alias = "bundled", default_value = "bundled")]
    candidate: Which,
    /// Looks for fewer operations that still show the difference.
    #[arg(long)]
    shrink: bool,
    /// Prints differences and goes on as long as that makes sense.
    #[arg(long)]
    keep_going: bool,
    /// Prints every operation and what the reference does.
    #[arg(long)]
    trace: bool,
    /// Prints what the runs reached.
    #[arg(long)]
    coverage: bool,
}

/// A server, still to be started or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Apache,
    Bundled,
    Model,
    At(SocketAddr),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "apache" => Ok(Self::Apache),
            "bundled" => Ok(Self::Bundled),
            "model" => Ok(Self::Model),
            _ => text
                .parse()
                .map(Self::At)
                .map_err(|_| "neither `apache`, nor `bundled`, nor `model`, nor an address".into()),
        }
    }
}

/// Kept up as long as it is held.
enum Serving {
    Apache(Apache),
    Bundled(Box<Bundled>),
    Model(Modelled),
    At(SocketAddr),
}

impl Serving {
    fn start(which: Which, configuration: &Configuration) -> Result<Self, Box<dyn Error>> {
        Ok(match which {
            Which::Apache => Self::Apache(Apache::start(Path::new(SCRIPT), configuration)?),
            Which::Bundled => Self::Bundled(Box::new(Bundled::start(configuration)?)),
            Which::Model => Self::Model(Modelled::start(configuration)?),
            Which::At(address) => Self::At(address),
        })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Apache(server) => server.address(),
            Self::Bundled(server) => server.address(),
            Self::Model(server) => server.address(),
            Self::At(address) => *address,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the servers agree on every seed.
fn compare(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    arguments.check()?;
    let mut coverage = Coverage::default();
    let mut is_same = true;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let (run, _servers) = arguments.start(seed)?;
        match run.explore(seed, arguments.ops) {
            Ok(report) => {
                coverage.merge(&report.coverage);
                if report.forgiven > 0 {
                    println!("seed {seed}: {} differences", report.forgiven);
                    is_same = false;
                } else {
                    println!("seed {seed}: {} operations agree", arguments.ops);
                }
            }
            Err(found) => {
                println!("seed {seed}:\n{found}");
                if arguments.shrink {
                    let found = shrink(
                        found,
                        || arguments.start(seed),
                        |left| eprintln!("{left} operations left"),
                    )?;
                    println!("what is left of seed {seed}:\n{found}");
                }
                return Ok(false);
            }
        }
    }
    if arguments.coverage {
        print!("{coverage}");
    }
    let missing = coverage.missing();
    if !missing.is_empty() {
        println!("not reached: {}", missing.join(", "));
    }
    Ok(is_same)
}

impl Arguments {
    /// A server that this program does not start serves one run and is not fresh
    /// any more.
    fn check(&self) -> Result<(), Box<dyn Error>> {
        let is_given = |which| matches!(which, Which::At(_));
        let runs = self.seeds > 1 || self.shrink;
        if runs && (is_given(self.reference) || is_given(self.candidate)) {
            return Err("an address serves one run: neither --seeds nor --shrink".into());
        }
        Ok(())
    }

    /// A run over two servers, and the servers.
    fn start(&self, seed: u64) -> Result<(Run, (Serving, Serving)), Box<dyn Error>> {
        let has_model = [self.reference, self.candidate].contains(&Which::Model);
        let configuration = if has_model {
            Configuration::modelled(seed)
        } else {
            Configuration::of_seed(seed)
        };
        let reference = Serving::start(self.reference, &configuration)?;
        let candidate = Serving::start(self.candidate, &configuration)?;
        let mut run = Run::new(reference.address(), candidate.address());
        if self.trace {
            run = run.with_trace(Box::new(|line| println!("{line}")));
        }
        if self.keep_going {
            run = run.forgiving(Box::new(|found| println!("{found}")));
        }
        Ok((run, (reference, candidate)))
    }
}
