//! The `zk-server` command as a process.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "a process is outside of any Env")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zk_env::TokioEnv;
use zk_server::four_letter_word;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn zk_server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk-server"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A configuration file of its own, gone with the value.
struct Config {
    path: PathBuf,
    /// What the server stores, if it comes to that.
    data_dir: PathBuf,
}

impl Config {
    fn new(name: &str, text: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.cfg"));
        let data_dir = path.with_extension("data");
        let _ = fs::remove_dir_all(&data_dir);
        let begin = format!("dataDir={}\nadmin.enableServer=false\n", data_dir.display());
        fs::write(&path, begin + text).unwrap();
        Self { path, data_dir }
    }

    /// A server on a port the system chooses.
    fn any_port(name: &str, more: &str) -> Self {
        let text = "clientPortAddress=127.0.0.1\nclientPort=0\n";
        Self::new(name, &format!("{text}{more}"))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir_all(&self.data_dir);
    }
}

/// A server process, killed with the value.
struct Process {
    child: Child,
    /// What it has logged up to the line that says where it listens.
    log: String,
    /// Behind that it has said that it could not listen somewhere.
    lacks_port: Arc<AtomicBool>,
    addr: SocketAddr,
}

impl Process {
    /// Starts it and waits until it serves.
    fn start(config: &Config) -> Self {
        Self::try_start(config).unwrap_or_else(|log| panic!("it ended: {log}"))
    }

    /// What it has logged, if it ends before it serves.
    fn try_start(config: &Config) -> Result<Self, String> {
        let mut command = zk_server();
        command.arg("start-foreground").arg(&config.path);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (mut log, mut addr) = (String::new(), None);
        let mut lines = BufReader::new(stderr);
        while addr.is_none() {
            let start = log.len();
            if lines.read_line(&mut log).unwrap() == 0 {
                let _ = child.wait();
                return Err(log);
            }
            addr = listening(&log[start..]);
        }
        // Read on, so that the pipe never fills.
        let lacks_port = Arc::<AtomicBool>::default();
        let lacks = Arc::clone(&lacks_port);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if tells_of_taken_port(&line) {
                    lacks.store(true, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            child,
            log,
            lacks_port,
            addr: addr.unwrap(),
        })
    }

    fn lacks_port(&self) -> bool {
        self.lacks_port.load(Ordering::Relaxed)
    }

    fn ask(&self, word: &str) -> String {
        ask(self.addr, word)
    }

    /// Sends a signal and waits for the end; whether it was a clean one, and how
    /// long it took.
    fn end_by(&mut self, signal: &str) -> (bool, Duration) {
        let start = Instant::now();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        (self.child.wait().unwrap().success(), start.elapsed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tells_of_taken_port(text: &str) -> bool {
    text.contains("Address already in use") || text.contains("address in use")
}

/// The address in the line that says that the server has started, or the member.
fn listening(line: &str) -> Option<SocketAddr> {
    let member = || {
        line.split_once("peer started ")?
            .1
            .split_once("client_addr=")
    };
    let started = line.split_once("server started addr=").or_else(member);
    started?.1.trim_end().parse().ok()
}

/// The answer of the server at `addr` to a four-letter word.
fn ask(addr: SocketAddr, word: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let env = TokioEnv::new();
        four_letter_word(&*env, addr, word, PATIENCE).await.unwrap()
    })
}

/// Asks until the answer is right.
fn ask_until(addr: SocketAddr, word: &str, is_right: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let answer = ask(addr, word);
        if is_right(&answer) {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{addr} still answers {answer}");
        std::thread::yield_now();
    }
}

/// What `srvr` or `status` say a server is.
fn mode(text: &str) -> Option<&str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("Mode: "))
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn it_serves_until_sigterm_and_then_from_the_same_directory() {
    let config = Config::any_port("serves", "admin.forceHttps=true\nfooBar=1\n");
    let mut process = Process::start(&config);
    assert!(process.ask("srvr").contains("Mode: standalone\n"));
    assert!(process.ask("ruok").contains("not in the whitelist"));
    assert!(
        process.log.contains("unknown key fooBar"),
        "{}",
        process.log
    );
    let (clean, took) = process.end_by("TERM");
    assert!(clean && took < Duration::from_secs(5), "{took:?}");
    assert!(config.data_dir.join("version-2/snapshot.0").exists());
    assert!(Process::start(&config).log.contains("recovered"));
}

#[test]
fn it_stops_on_sigint_with_clients_connected() {
    let config = Config::any_port("sigint", "");
    let mut process = Process::start(&config);
    let mut idle = std::net::TcpStream::connect(process.addr).unwrap();
    assert!(process.ask("srvr").contains("Connections: 2\n"));
    let (clean, took) = process.end_by("INT");
    assert!(clean && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(idle.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn status_tells_the_mode_of_a_running_server() {
    let config = Config::any_port("status", "");
    let mut process = Process::start(&config);
    let port = process.addr.port();
    let text_of = |port| format!("clientPortAddress=127.0.0.1\nclientPort={port}\n");
    let asked = Config::new("status-asked", &text_of(port));
    let running = output(zk_server().arg("status").arg(&asked.path));
    assert!(running.status.success());
    let expected = format!(
        "Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.\n\
         Mode: standalone\n"
    );
    assert_eq!(text(&running.stdout), expected);

    assert!(process.end_by("TERM").0);
    let stopped = output(zk_server().arg("status").arg(&asked.path));
    assert_eq!(stopped.status.code(), Some(1));
    assert!(text(&stopped.stdout).ends_with("It is probably not running.\n"));
}

#[test]
fn a_wrong_configuration_gives_one_clear_line() {
    let cases = [
        (
            "tick",
            "tickTime=0\n",
            "tickTime is 0, allowed: whole numbers from 1 to 2147483647",
        ),
        (
            "bool",
            "enforceQuota=1\n",
            "enforceQuota is 1, allowed: true, false",
        ),
        (
            "ensemble",
            "server.1=a:1:2\nserver.2=b:1:2:observer\n",
            "server.N is missing, it is needed for observers: two participants, or \
             standaloneEnabled=false",
        ),
    ];
    for (name, more, expected) in cases {
        let config = Config::any_port(&format!("wrong-{name}"), more);
        let refused = output(zk_server().arg("start-foreground").arg(&config.path));
        assert_eq!(refused.status.code(), Some(1));
        let line = format!("zk-server: {}: {expected}\n", config.path.display());
        assert_eq!(text(&refused.stderr), line);
    }
}

#[test]
fn a_member_without_myid_is_told_what_to_write_where() {
    let members = "initLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\n";
    let config = Config::any_port("no-myid", members);
    let refused = output(zk_server().arg("start-foreground").arg(&config.path));
    assert_eq!(refused.status.code(), Some(1));
    let line = format!(
        "zk-server: {}: {} is missing, it is needed for a member of an ensemble: write the N of \
         this server's server.N into it\n",
        config.path.display(),
        config.data_dir.join("myid").display()
    );
    assert_eq!(text(&refused.stderr), line);
}

#[test]
fn a_missing_file_is_named() {
    let refused = output(zk_server().args(["start-foreground", "no/such/zoo.cfg"]));
    assert_eq!(refused.status.code(), Some(1));
    let line = text(&refused.stderr);
    assert!(line.starts_with("zk-server: no/such/zoo.cfg: "), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let config = format!("clientPortAddress=127.0.0.1\nclientPort={}\n", addr.port());
    let config = Config::new("in-use", &config);
    let mut command = zk_server();
    command.env("RUST_LOG", "error");
    let refused = output(command.arg("start-foreground").arg(&config.path));
    assert_eq!(refused.status.code(), Some(1));
    let line = text(&refused.stderr);
    assert!(
        line.contains("cannot listen: ") && line.contains(&addr.to_string()),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn the_version_is_told() {
    let version = output(zk_server().arg("--version"));
    let expected = concat!("zk-server ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&version.stdout), expected);
}

/// The configurations of servers 1 to 3, the third an observer.
fn members(name: &str) -> [Config; 3] {
    let ports: [u16; 9] = free_ports();
    let server = |id: usize, role: &str| {
        let [quorum, election, client] = [0, 1, 2].map(|of| ports[3 * id - 3 + of]);
        format!("server.{id}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}\n")
    };
    let list = [(1, "participant"), (2, "participant"), (3, "observer")];
    let servers = list.map(|(id, role)| server(id, role)).concat();
    [1, 2, 3].map(|id| {
        let text = format!("tickTime=200\ninitLimit=50\nsyncLimit=25\n{servers}");
        let config = Config::new(&format!("{name}-{id}"), &text);
        fs::create_dir_all(&config.data_dir).unwrap();
        fs::write(config.data_dir.join("myid"), format!("{id}\n")).unwrap();
        config
    })
}

/// How often other ports are tried: somebody else may take one before its server does.
const ATTEMPTS: usize = 5;

/// Members from their files, and what each of them says it is. The first has been alone for a
/// while.
fn started_members() -> ([Config; 3], [Process; 3], [String; 3]) {
    for _ in 1..ATTEMPTS {
        let configs = members("members");
        if let Some((processes, modes)) = try_members(&configs) {
            return (configs, processes, modes);
        }
    }
    panic!("ports are taken again and again");
}

/// Nothing, if a port is taken.
fn try_members(configs: &[Config; 3]) -> Option<([Process; 3], [String; 3])> {
    let start = |config| match Process::try_start(config) {
        Ok(process) => Some(process),
        Err(log) if tells_of_taken_port(&log) => None,
        Err(log) => panic!("it ended: {log}"),
    };
    let first = start(&configs[0])?;
    let alone = output(zk_server().arg("status").arg(&configs[0].path));
    assert_eq!(alone.status.code(), Some(1));
    let answer = first.ask("srvr");
    assert_eq!(
        answer,
        "This ZooKeeper instance is not currently serving requests\n"
    );
    let processes = [first, start(&configs[1])?, start(&configs[2])?];
    let mut modes = Vec::new();
    for process in &processes {
        let lacks_port = || processes.iter().any(Process::lacks_port);
        let answer = ask_until(process.addr, "srvr", |answer| {
            mode(answer).is_some() || lacks_port()
        });
        modes.push(mode(&answer)?.to_owned());
    }
    Some((processes, modes.try_into().unwrap()))
}

#[test]
fn members_of_an_ensemble_are_started_from_their_files() {
    let (configs, [mut first, second, _third], modes) = started_members();
    let mut voters = [modes[0].as_str(), modes[1].as_str()];
    voters.sort_unstable();
    assert_eq!(
        (voters, modes[2].as_str()),
        (["follower", "leader"], "observer")
    );
    for (config, mode) in configs.iter().zip(&modes) {
        let status = output(zk_server().arg("status").arg(&config.path));
        assert!(status.status.success());
        let status = text(&status.stdout);
        assert!(status.ends_with(&format!("\nMode: {mode}\n")), "{status}");
        assert!(status.starts_with("Client port found: "), "{status}");
    }

    let (clean, took) = first.end_by("TERM");
    assert!(clean && took < Duration::from_secs(5), "{took:?}");
    ask_until(second.addr, "srvr", |answer| mode(answer).is_none());
}

/// The value of a key of `mntr`.
fn metric(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start_matches('\t').to_owned())
}

#[test]
fn an_ensemble_for_development_serves_until_it_is_stopped() {
    let mut child = zk_server()
        .args(["ensemble", "3", "--observers", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    let connect = line();
    let mut modes = Vec::new();
    let mut process = Process {
        child,
        log: String::new(),
        lacks_port: Arc::default(),
        addr: connect.split(',').next().unwrap().parse().unwrap(),
    };
    for (id, host) in (1..).zip(connect.split(',')) {
        let shown = line();
        let words: Vec<_> = shown.split(' ').collect();
        assert_eq!(words[..2], [format!("server.{id}").as_str(), host]);
        let answer = ask(host.parse().unwrap(), "mntr");
        let state = metric(&answer, "zk_server_state").unwrap();
        assert_eq!(words[2], state);
        if state == "leader" {
            let peer = metric(&answer, "zk_peer_state");
            assert_eq!(peer.as_deref(), Some("leading - broadcast"));
            let in_step = |text: &str| {
                let of = |key| metric(text, key).unwrap();
                of("zk_synced_followers") == "2" && of("zk_synced_observers") == "1"
            };
            ask_until(host.parse().unwrap(), "mntr", in_step);
        }
        modes.push(state);
    }
    modes.sort_unstable();
    assert_eq!(modes, ["follower", "follower", "leader", "observer"]);
    let (clean, took) = process.end_by("INT");
    assert!(clean && took < Duration::from_secs(5), "{took:?}");
    assert!(std::net::TcpStream::connect(process.addr).is_err());
}
