//! The configurations of `examples/sites` on simulated machines, and what they promise to
//! survive.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use zk_client::{Client, RetryPolicy};
use zk_env::{OpenMode, sleep_until};
use zk_server::{PeerState, PeerStatus, QuorumPeer, ZooCfg};
use zk_sim::{Sim, runtime};

/// In simulated time. Elections take a second or two, lost peers are found after ten.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every server of a configuration, each on the host that it names.
struct Sites {
    sim: Sim,
    text: String,
    hosts: BTreeMap<i64, String>,
    peers: BTreeMap<i64, QuorumPeer>,
}

impl Sites {
    /// Starts them all, from the file of that name.
    async fn start(sim: Sim, name: &str) -> Self {
        let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sites");
        let text = fs::read_to_string(sites.join(name).join("zoo.cfg")).unwrap();
        let servers = text.lines().filter_map(|line| line.strip_prefix("server."));
        let hosts = servers.map(|server| {
            let (id, at) = server.split_once('=').unwrap();
            let (host, _) = at.split_once(':').unwrap();
            (id.parse().unwrap(), host.to_owned())
        });
        let mut sites = Self {
            hosts: hosts.collect(),
            peers: BTreeMap::new(),
            sim,
            text,
        };
        for id in sites.ids() {
            sites.boot(id, true).await;
        }
        sites
    }

    fn ids(&self) -> Vec<i64> {
        self.hosts.keys().copied().collect()
    }

    async fn boot(&mut self, id: i64, is_new: bool) {
        let env = self.sim.env(&self.hosts[&id]);
        let cfg = ZooCfg::parse(&self.text).unwrap();
        if is_new {
            let (disk, dir) = (env.disk(), cfg.data_dir());
            disk.create_dir_all(dir).await.unwrap();
            let myid = disk.open(&dir.join("myid"), OpenMode::CreateNew).await;
            let myid = myid.unwrap();
            myid.append(id.to_string().into()).await.unwrap();
            myid.sync_data().await.unwrap();
            for dir in dir.ancestors() {
                disk.sync_dir(dir).await.unwrap();
            }
        }
        let (config, ensemble) = cfg.load(&*env).await.unwrap();
        let builder = QuorumPeer::builder(ensemble.expect("a member"));
        let peer = builder.config(config).env(env).start().await.unwrap();
        self.peers.insert(id, peer);
    }

    fn lose(&mut self, ids: &[i64]) {
        for id in ids {
            self.peers.remove(id);
            self.sim.host(&self.hosts[id]).kill();
        }
    }

    async fn bring_back(&mut self, ids: &[i64]) {
        for id in ids {
            assert!(self.sim.host(&self.hosts[id]).restart());
            self.boot(*id, false).await;
        }
    }

    fn statuses(&self) -> Vec<PeerStatus> {
        self.peers.values().map(QuorumPeer::status).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&[PeerStatus]) -> bool) {
        let env = self.sim.env("watch");
        let (mut timer, until) = (env.timer(), env.now() + PATIENCE);
        while !holds(&self.statuses()) {
            assert!(env.now() < until, "{what}: {:?}", self.statuses());
            sleep_until(&mut *timer, env.now() + Duration::from_millis(50)).await;
        }
    }

    /// A write is committed, and then one of these leads and all that are there serve.
    async fn go_on(&self, leaders: &[i64]) {
        let hosts = self
            .peers
            .keys()
            .map(|id| format!("{}:2181", self.hosts[id]));
        let hosts: Vec<_> = hosts.collect();
        let settings = Client::builder(&hosts.join(","))
            .env(self.sim.env("client"))
            .connect_deadline(PATIENCE)
            .operation_deadline(PATIENCE);
        let client = settings.connect().await.expect("a session");
        let patient = client.retrying(RetryPolicy::new(u32::MAX).for_idempotent());
        let written = patient.run(|client| client.set_data("/", b"written", None));
        written.await.expect("a write");
        client.close().await.expect("the end of the session");
        self.until("not all serve", |peers| {
            let leads = |peer: &PeerStatus| peer.state == PeerState::Leading;
            peers
                .iter()
                .any(|peer| leads(peer) && leaders.contains(&peer.id))
                && peers.iter().all(|peer| peer.is_serving)
        })
        .await;
    }

    async fn nobody_serves(&self) {
        self.until("somebody serves", |peers| {
            peers.iter().all(|peer| !peer.is_serving)
        })
        .await;
    }
}

#[test]
fn observers_at_the_second_site_read_and_decide_nothing() {
    runtime(1).unwrap().block_on(async {
        let mut sites = Sites::start(Sim::new(1), "observers").await;
        sites.go_on(&[1, 2, 3]).await;
        for observer in sites.statuses().iter().filter(|peer| peer.id > 3) {
            assert_eq!(observer.state, PeerState::Observing);
            assert_ne!(observer.learner_master, observer.leader, "{observer:?}");
        }
        // The second site.
        sites.lose(&[4, 5]);
        sites.go_on(&[1, 2, 3]).await;
        sites.bring_back(&[4, 5]).await;
        // A server of each.
        sites.lose(&[1, 4]);
        sites.go_on(&[2, 3]).await;
        sites.bring_back(&[1, 4]).await;
        sites.go_on(&[1, 2, 3]).await;
        // The first site.
        sites.lose(&[1, 2, 3]);
        sites.nobody_serves().await;
        sites.bring_back(&[1, 2]).await;
        sites.go_on(&[1, 2]).await;
    });
}

#[test]
fn groups_survive_a_site_and_a_server_of_the_other() {
    runtime(1).unwrap().block_on(async {
        let mut sites = Sites::start(Sim::new(1), "groups").await;
        let all = sites.ids();
        sites.go_on(&all).await;
        // A site, and a server of the other.
        sites.lose(&[1, 2, 3]);
        sites.go_on(&all).await;
        sites.lose(&[4]);
        sites.go_on(&all).await;
        sites.bring_back(&[1, 2, 3, 4]).await;
        // The witness, and a server of each site.
        sites.lose(&[7, 2, 5]);
        sites.go_on(&all).await;
        sites.bring_back(&[7, 2, 5]).await;
        sites.go_on(&all).await;
        // A site and the witness: four of seven would be a majority, three are left.
        sites.lose(&[4, 5, 6]);
        sites.go_on(&all).await;
        sites.lose(&[7]);
        sites.nobody_serves().await;
        sites.bring_back(&[7]).await;
        sites.go_on(&all).await;
    });
}
