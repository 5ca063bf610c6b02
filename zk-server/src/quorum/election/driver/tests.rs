//! Election ports on loopback, and one that a script drives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;
use zk_env::{
    Boot, BoxFuture, BoxStream, Disk, Env, EnvRng, Listener, Mono, TaskHandle, Timer, TokioEnv,
};

use super::{ElectionPort, ElectionPortOptions};
use crate::config::EnsembleConfig;
use crate::quorum::election::{Decision, InitialVote, PeerState};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

/// An upper bound for whatever a test waits for. Elections take a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

const EMPTY: InitialVote = InitialVote {
    zxid: 0,
    peer_epoch: 0,
};

/// Servers 1, 2, … on loopback, whose ports nobody else can get before they do.
async fn loopback(env: &Loopback, count: usize) -> (QuorumVerifier, Vec<u16>) {
    let ports = env.hold(count).await;
    let lines = ports.iter().enumerate();
    let text: String = lines
        .map(|(index, port)| format!("server.{}=127.0.0.1:1:{port}\n", index + 1))
        .collect();
    (QuorumVerifier::parse(&text).unwrap(), ports)
}

async fn start(env: Arc<dyn Env>, config: &QuorumVerifier, id: i64) -> ElectionPort {
    let options = ElectionPortOptions::new(ServerId(id), config.clone());
    ElectionPort::start(env, options, &CancellationToken::new())
        .await
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bound on what a test waits for"
)]
async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

async fn look(port: &ElectionPort, zxid: i64) -> Decision {
    let initial = InitialVote {
        zxid,
        peer_epoch: 0,
    };
    within_patience(port.look_for_leader(initial))
        .await
        .expect("a port that runs")
}

#[tokio::test]
async fn three_agree_and_the_survivors_of_the_leader_agree_again() {
    let env = Loopback::new();
    let (config, _) = loopback(&env, 3).await;
    let one = start(env.clone(), &config, 1).await;
    let two = start(env.clone(), &config, 2).await;
    let three = start(env.clone(), &config, 3).await;
    let (a, b, c) = tokio::join!(look(&one, 5), look(&two, 7), look(&three, 6));
    assert_eq!([a.leader, b.leader, c.leader], [ServerId(2); 3]);
    assert_eq!(
        [a.role, b.role, c.role],
        [
            PeerState::Following,
            PeerState::Leading,
            PeerState::Following
        ]
    );
    two.stop().await;
    let (a, c) = tokio::join!(look(&one, 5), look(&three, 6));
    assert_eq!([a.leader, c.leader], [ServerId(3); 2]);
    let again = start(env, &config, 2).await;
    assert_eq!(
        look(&again, 9).await.leader,
        ServerId(3),
        "a late joiner follows"
    );
    for port in [one, three, again] {
        port.stop().await;
    }
}

/// From the text of two files to a leader.
#[tokio::test]
async fn peers_of_a_configuration_elect() {
    let env = Loopback::new();
    let ports = env.hold(2).await;
    let text = format!(
        "clientPort=0\ninitLimit=10\nsyncLimit=5\nfastleader.minNotificationInterval=50\n\
         server.1=127.0.0.1:1:{}\nserver.2=127.0.0.1:1:{}:observer\nstandaloneEnabled=false",
        ports[0], ports[1]
    );
    let (mut elected, mut running) = (Vec::new(), Vec::new());
    for myid in [1, 2] {
        let config = EnsembleConfig::parse(&text, myid).unwrap();
        let options = ElectionPortOptions::from_config(&config);
        let port = ElectionPort::start(env.clone(), options, &CancellationToken::new())
            .await
            .unwrap();
        let decision = look(&port, 0).await;
        elected.push((decision.leader.0, decision.role));
        running.push(port);
    }
    assert_eq!(
        elected,
        [(1, PeerState::Leading), (1, PeerState::Observing)]
    );
}

#[tokio::test]
async fn an_observer_finds_the_leader() {
    let env = Loopback::new();
    let ports = env.hold(2).await;
    let text = format!(
        "server.1=127.0.0.1:1:{}\nserver.2=127.0.0.1:1:{}:observer",
        ports[0], ports[1]
    );
    let config = QuorumVerifier::parse(&text).unwrap();
    let voter = start(env.clone(), &config, 1).await;
    assert_eq!(look(&voter, 0).await.role, PeerState::Leading);
    let mut options = ElectionPortOptions::new(ServerId(2), config);
    options.election.learner_type = LearnerType::Observer;
    let observer = ElectionPort::start(env, options, &CancellationToken::new())
        .await
        .unwrap();
    let decision = look(&observer, 0).await;
    assert_eq!(
        (decision.leader, decision.role),
        (ServerId(1), PeerState::Observing)
    );
}

#[tokio::test]
async fn strangers_do_not_keep_peers_apart() {
    let env = Loopback::new();
    let (config, ports) = loopback(&env, 2).await;
    let two = start(env.clone(), &config, 2).await;
    let addr = SocketAddr::from(([127, 0, 0, 1], ports[1]));
    let mut mute = Vec::new();
    for index in 0..300u32 {
        let mut stream = env.connect(addr).await.unwrap();
        match index % 4 {
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(),
            2 => stream.write_all(&[0xff, 0xff, 0xff]).await.unwrap(),
            _ => continue,
        }
        mute.push(stream);
    }
    let one = start(env, &config, 1).await;
    let (a, b) = tokio::join!(look(&one, 1), look(&two, 0));
    assert_eq!([a.leader, b.leader], [ServerId(1); 2]);
}

/// What a peer sends in pieces, or with other things between, is understood; what it
/// sends wrongly costs its own connection alone.
#[tokio::test]
async fn a_slow_peer_is_heard_and_a_broken_one_is_not_missed() {
    let env = Loopback::new();
    let (config, ports) = loopback(&env, 1).await;
    let one = start(env.clone(), &config, 1).await;
    assert_eq!(look(&one, 0).await.role, PeerState::Leading);
    let addr = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    let mut broken = env.connect(addr).await.unwrap();
    broken.write_all(&9i64.to_be_bytes()).await.unwrap();
    broken.write_all(&0i32.to_be_bytes()).await.unwrap();
    let ended = within_patience(broken.read(&mut [0; 64])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");

    let mut slow = env.connect(addr).await.unwrap();
    let vote = [0u8; 28];
    let mut bytes = 8i64.to_be_bytes().to_vec();
    bytes.extend(28i32.to_be_bytes());
    bytes.extend(vote);
    for byte in bytes {
        slow.write_all(&[byte]).await.unwrap();
        slow.flush().await.unwrap();
    }
    // It is in no list, and is told who leads.
    let mut answer = [0; 20];
    within_patience(slow.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[4..8], 2i32.to_be_bytes(), "LEADING");
    assert_eq!(answer[8..16], 1i64.to_be_bytes());
}

#[tokio::test]
async fn a_look_that_is_given_up_and_asked_again_still_decides() {
    let env = Loopback::new();
    let (config, _) = loopback(&env, 2).await;
    let one = start(env.clone(), &config, 1).await;
    tokio::select! {
        biased;
        _ = one.look_for_leader(EMPTY) => panic!("one of two decided"),
        () = tokio::task::yield_now() => {}
    }
    let two = start(env, &config, 2).await;
    let (a, b) = tokio::join!(look(&one, 0), look(&two, 0));
    assert_eq!([a.leader, b.leader], [ServerId(2); 2]);
}

/// Loopback, with ports that are held until they are bound. One host is never found, and
/// one never answers (E10, E11).
struct Loopback {
    env: Arc<TokioEnv>,
    held: Mutex<BTreeMap<SocketAddr, Box<dyn Listener>>>,
}

impl std::fmt::Debug for Loopback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loopback").finish_non_exhaustive()
    }
}

impl Loopback {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            env: TokioEnv::new(),
            held: Mutex::default(),
        })
    }

    /// Takes so many ports, for whoever binds them next.
    async fn hold(&self, count: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        for _ in 0..count {
            let listener = self.env.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
            let listener = listener.unwrap();
            let addr = listener.local_addr().unwrap();
            self.held.lock().unwrap().insert(addr, listener);
            ports.push(addr.port());
        }
        ports
    }
}

impl Env for Loopback {
    fn connect(&self, addr: SocketAddr) -> BoxFuture<std::io::Result<BoxStream>> {
        if addr.ip().is_loopback() {
            self.env.connect(addr)
        } else {
            Box::pin(std::future::pending())
        }
    }

    fn bind(&self, addr: SocketAddr) -> BoxFuture<std::io::Result<Box<dyn Listener>>> {
        match self.held.lock().unwrap().remove(&addr) {
            Some(listener) => Box::pin(std::future::ready(Ok(listener))),
            None => self.env.bind(addr),
        }
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<std::io::Result<Vec<SocketAddr>>> {
        if host == "hangs.invalid" {
            return Box::pin(std::future::pending());
        }
        self.env.resolve(host, port)
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> TaskHandle {
        self.env.spawn(name, task)
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.env.timer()
    }

    fn now(&self) -> Mono {
        self.env.now()
    }

    fn boot_now(&self) -> Boot {
        self.env.boot_now()
    }

    fn wall(&self) -> SystemTime {
        self.env.wall()
    }

    fn rng(&self, name: &str) -> EnvRng {
        self.env.rng(name)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.env.disk()
    }
}

#[tokio::test]
async fn peers_that_never_answer_delay_nobody() {
    let env = Loopback::new();
    let ports = env.hold(3).await;
    let text = format!(
        "server.1=127.0.0.1:1:{}\nserver.2=127.0.0.1:1:{}\nserver.3=127.0.0.1:1:{}\n\
         server.4=hangs.invalid:1:2\nserver.5=192.0.2.1:1:2",
        ports[0], ports[1], ports[2]
    );
    let config = QuorumVerifier::parse(&text).unwrap();
    let one = start(env.clone(), &config, 1).await;
    let two = start(env.clone(), &config, 2).await;
    let three = start(env.clone(), &config, 3).await;
    let before = env.now();
    let (a, b, c) = tokio::join!(look(&one, 0), look(&two, 0), look(&three, 0));
    let took = env.now().since(before);
    assert_eq!([a.leader, b.leader, c.leader], [ServerId(3); 3]);
    // A clean election that waits for silent peers takes the 200 ms.
    assert!(took < Duration::from_millis(700), "{took:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let env = TokioEnv::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = QuorumVerifier::parse(&format!("server.1=127.0.0.1:1:{port}")).unwrap();
    let mut options = ElectionPortOptions::new(ServerId(1), config);
    options.bind_tries = 1;
    let error = ElectionPort::start(env, options, &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot listen"), "{error}");
}

/// One peer that runs nothing but elections, for scripts and for other servers beside it:
/// `ELECTION_CONFIG` names a file with the list, `ELECTION_ID` its server. A line `look
/// ZXID EPOCH` on stdin starts an election, and a line on stdout tells its end; the end
/// of stdin is the end of the peer.
#[tokio::test]
#[ignore = "scripts/election-peer.sh runs it"]
async fn one_peer_of_a_script() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let text = std::fs::read_to_string(variable("ELECTION_CONFIG")).unwrap();
    let config = QuorumVerifier::parse(&text).unwrap();
    let id = variable("ELECTION_ID").parse().unwrap();
    let env = TokioEnv::new();
    let port = start(env.clone(), &config, id).await;
    println!("listening");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let numbers: Vec<i64> = line
            .split(' ')
            .skip(1)
            .map(|n| n.parse().unwrap())
            .collect();
        let initial = InitialVote {
            zxid: numbers[0],
            peer_epoch: numbers[1],
        };
        let before = env.now();
        let decision = port.look_for_leader(initial).await.unwrap();
        let millis = env.now().since(before).as_millis();
        println!("decided ms={millis} {}", decision.vote);
    }
    port.stop().await;
}
