//! A member that keeps its `zoo.cfg` up to date, on a simulated machine.
#![expect(
    clippy::unwrap_used,
    reason = "what fails to unwrap has failed the test"
)]

use std::path::Path;
use std::time::Duration;

use zk_env::{Env, OpenMode, sleep_until};
use zk_server::{QuorumPeer, ZooCfg};
use zk_sim::{Sim, runtime};

const TEXT: &str = "dataDir=/data\ntickTime=200\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\n\
                    standaloneEnabled=false\nadmin.enableServer=false\n\
                    server.1=one:2888:3888;2181\n";

async fn put(env: &dyn Env, path: &str, text: &str) {
    let (disk, path) = (env.disk(), Path::new(path));
    let dir = path.parent().expect("a directory");
    disk.create_dir_all(dir).await.unwrap();
    let file = disk.open(path, OpenMode::CreateNew).await.unwrap();
    file.append(text.to_owned().into()).await.unwrap();
    file.sync_data().await.unwrap();
    disk.sync_dir(dir).await.unwrap();
}

/// Starts the member and waits until it serves; the names in both directories then.
async fn serve(env: std::sync::Arc<dyn Env>, read_from: &str) -> (Vec<String>, Vec<String>) {
    let cfg = ZooCfg::parse(TEXT).unwrap().read_from(read_from);
    let (config, ensemble) = cfg.load(&*env).await.unwrap();
    let builder = QuorumPeer::builder(ensemble.expect("a member"));
    let peer = builder.config(config).env(env.clone());
    let peer = peer.start().await.unwrap();
    let mut changes = peer.status_changes();
    let serving = changes.wait_for(|status| status.is_serving);
    serving.await.unwrap();
    // The files are written behind that, by the disk's own task.
    let (mut timer, until) = (env.timer(), env.now() + Duration::from_secs(1));
    sleep_until(&mut *timer, until).await;
    peer.stop().await;
    let names = async |dir: &str| {
        let names = env.disk().list(Path::new(dir)).await.unwrap_or_default();
        names
            .into_iter()
            .flat_map(std::ffi::OsString::into_string)
            .collect()
    };
    (names("/conf").await, names("/data").await)
}

fn has(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| name == wanted)
}

#[test]
fn the_first_configuration_is_written_beside_it() {
    runtime(1).unwrap().block_on(async {
        let env = Sim::new(1).env("one");
        put(&*env, "/data/myid", "1").await;
        put(&*env, "/conf/zoo.cfg", TEXT).await;
        let (conf, data) = serve(env.clone(), "/conf/zoo.cfg").await;
        assert!(has(&conf, "zoo.cfg.dynamic.100000000"), "{conf:?}");
        assert!(has(&conf, "zoo.cfg.bak"), "{conf:?}");
        assert!(
            !data.iter().any(|name| name.starts_with("zoo.cfg")),
            "{data:?}"
        );
        // The text that was read at first is older than what is there now.
        let (conf, _) = serve(env, "/conf/zoo.cfg").await;
        let lists = conf.iter().filter(|name| name.contains(".dynamic."));
        assert_eq!(lists.count(), 1, "{conf:?}");
    });
}

#[test]
fn where_it_cannot_be_written_the_members_are_kept_in_the_data_directory() {
    runtime(1).unwrap().block_on(async {
        let env = Sim::new(1).env("one");
        put(&*env, "/data/myid", "1").await;
        let (conf, data) = serve(env, "/conf/zoo.cfg").await;
        assert!(conf.is_empty(), "{conf:?}");
        assert!(has(&data, "zoo.cfg.dynamic.100000000"), "{data:?}");
    });
}
