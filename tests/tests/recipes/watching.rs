//! A subtree and a group that are watched while machines stall, links break and sessions
//! expire: all views end equal to the server, and no member is left behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use zk_client::CreateMode;
use zk_env::EnvRng;
use zk_recipes::{Cache, GroupMembership, Subscription, Update, Znode};
use zk_sim::Sim;

use super::*;

const HOSTS: [&str; 3] = ["ann", "bob", "eve"];
const ROOT: &str = "/watched";
const GROUP: &str = "/group";
const CHAOS: Duration = Duration::from_secs(120);

type Seen = BTreeMap<String, (i64, i64)>;

/// One machine's views.
struct Views {
    client: Client,
    cache: Cache,
    subscription: Subscription,
    told: BTreeMap<String, Arc<Znode>>,
    group: GroupMembership,
}

impl Views {
    async fn start(sim: &Sim, host: &'static str) -> Self {
        let client = connect(sim, host).await;
        let cache = Cache::builder(&client, ROOT).build().unwrap();
        Self {
            subscription: cache.subscribe(),
            group: GroupMembership::join(&client, GROUP, host, host)
                .await
                .unwrap(),
            told: BTreeMap::new(),
            cache,
            client,
        }
    }

    /// Takes what there is to hear by now.
    async fn listen(&mut self) {
        let mut timer = self.client.env().timer();
        loop {
            let at = self.client.env().now() + Duration::from_millis(1);
            let update = tokio::select! {
                biased;
                update = self.subscription.next() => update.unwrap(),
                () = sleep_until(&mut *timer, at) => return,
            };
            match update {
                Update::Snapshot { znodes, .. } => self.told = znodes,
                Update::Change { change, .. } => match change.after {
                    Some(after) => drop(self.told.insert(change.path, after)),
                    None => drop(self.told.remove(&change.path)),
                },
            }
        }
    }
}

fn seen(znodes: &BTreeMap<String, Arc<Znode>>) -> Seen {
    let identity = |znode: &Znode| (znode.stat.czxid.0, znode.stat.mzxid.0);
    let znodes = znodes.iter();
    znodes
        .map(|(path, znode)| (path.clone(), identity(znode)))
        .collect()
}

async fn server_has(stage: &Client) -> Seen {
    let (mut all, mut todo) = (Seen::new(), vec![ROOT.to_owned()]);
    while let Some(path) = todo.pop() {
        if let Some(stat) = stage.exists(&path, None).await.unwrap() {
            let children = stage.get_children(&path, None).await.unwrap();
            todo.extend(children.iter().map(|name| format!("{path}/{name}")));
            all.insert(path, (stat.czxid.0, stat.mzxid.0));
        }
    }
    all
}

/// A random write; most are refused, some are made.
async fn write(stage: &Client, rng: &mut EnvRng) {
    let below = ["", "/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/x"];
    let path = format!("{ROOT}{}", below[rng.below(below.len() as u64) as usize]);
    let _ = match rng.below(3) {
        0 => stage.delete(&path, None).await,
        1 => stage.set_data(&path, b"x", None).await.map(drop),
        _ => stage
            .create(&path, b"", CreateMode::Persistent)
            .await
            .map(drop),
    };
}

async fn strike(sim: &Sim, env: &Arc<dyn Env>, rng: &mut EnvRng, stage: &Client) {
    let host = HOSTS[rng.below(HOSTS.len() as u64) as usize];
    let is_long = rng.below(3) == 0;
    let writes = if is_long { 40 } else { 8 };
    let kind = rng.below(4);
    match kind {
        0 => sim.host(host).pause(),
        1 => sim.silence(host, SERVER),
        2 => sim.fin(host, SERVER),
        _ => sim.cut(host, SERVER),
    }
    for _ in 0..writes {
        write(stage, rng).await;
        pause(env, Duration::from_millis(rng.below(400))).await;
    }
    match kind {
        0 => sim.host(host).resume(),
        1 => sim.end_silence(host, SERVER),
        2 => {}
        _ => sim.end_cut(host, SERVER),
    }
}

async fn watched(sim: Sim, seed: u64) {
    let _server = start_server(&sim).await;
    let env = sim.env("stage");
    let stage = connect(&sim, "stage").await;
    let mut views = Vec::new();
    for host in HOSTS {
        views.push(Views::start(&sim, host).await);
    }
    let mut rng = env.rng("writes");
    let end = env.now() + CHAOS;
    while env.now() < end {
        strike(&sim, &env, &mut rng, &stage).await;
        // One listens often, one seldom, one only at the end.
        views[0].listen().await;
        if rng.below(4) == 0 {
            views[1].listen().await;
        }
    }
    pause(&env, 3 * SESSION_TIMEOUT).await;
    let there = server_has(&stage).await;
    for (view, host) in views.iter_mut().zip(HOSTS) {
        view.listen().await;
        assert_eq!(
            seen(&view.cache.snapshot()),
            there,
            "seed {seed}: {host}'s cache"
        );
        assert_eq!(seen(&view.told), there, "seed {seed}: what {host} was told");
        let members: Vec<_> = view.group.members().borrow().keys().cloned().collect();
        assert_eq!(members, HOSTS, "seed {seed}: whom {host} sees");
    }
    for view in views {
        view.group.leave().await.unwrap();
    }
    let left = stage.get_children(GROUP, None).await.unwrap_or_default();
    assert_eq!(left, [""; 0], "seed {seed}");
}

#[test]
fn whoever_watches_ends_equal_to_the_server() {
    for seed in 0..12 {
        simulate(seed, async |sim| watched(sim, seed).await);
    }
}
