//! A member's `zoo.cfg` through reconfigurations, and through crashes in the midst of them.

use std::time::Duration;

use super::*;
use crate::config::{EnsembleConfig, ZooCfg};
use crate::quorum::QuorumVerifier;

const ZOO_CFG: &str = "conf/zoo.cfg";
const STATIC: &str = "# ours\ndataDir=data\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n\
                      reconfigEnabled=true\nclientPort=2181\nserver.1=a:1:2\nserver.2=b:1:2\n";
const VERSION: i64 = 0x1_0000_0003;

fn members(version: i64) -> QuorumVerifier {
    let text = "server.1=a:1:2:participant;2181\nserver.2=b:1:2:participant;2181\n\
                server.10=c:1:2:observer;2181";
    QuorumVerifier::parse(text)
        .expect("members")
        .with_version(version)
}

async fn put(dir: &DataDir, path: &str, text: &str) -> Result<(), StorageError> {
    let path = Path::new(path);
    let parent = path.parent().expect("a directory");
    let made = dir.disk.create_dir_all(parent).await;
    made.map_err(StorageError::disk("create", parent))?;
    let above = Path::new("");
    dir.sync_dir(above).await?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.expect("a name");
    dir.replace(parent, name, text.to_owned().into()).await
}

async fn text_of(dir: &DataDir, path: &str) -> Option<String> {
    let bytes = dir.read_up_to(Path::new(path), 1 << 20).await;
    let bytes = bytes.expect("a disk that works");
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

/// A member of the ensemble that `zoo.cfg` describes.
async fn start(host: &Host) -> EnsembleConfig {
    let read = ZooCfg::read_again(Path::new(ZOO_CFG), &*host.env()).await;
    read.expect("a valid choice").expect("an ensemble")
}

async fn member(host: &Host) -> Result<DataDir, StorageError> {
    let dir = dir_of(host).await?;
    put(&dir, "data/myid", "1").await?;
    put(&dir, ZOO_CFG, STATIC).await?;
    Ok(dir)
}

#[test]
fn it_is_rewritten_as_apache_does() {
    on_host(1, async |host| {
        let dir = member(&host).await.expect("a disk that works");
        let next = members(VERSION);
        let file = Path::new(ZOO_CFG);
        let written = dir.write_next(file, &next.to_text()).await;
        written.expect("written");
        let read = text_of(&dir, "conf/zoo.cfg.dynamic.next").await;
        assert_eq!(read.as_deref(), Some(&*next.to_text()));
        // As with Apache that counts only where the members have a file of their own.
        assert!(start(&host).await.last_seen.is_none());

        let text = next.to_text();
        let written = dir.write_members(file, VERSION, &text, true).await;
        written.expect("written");
        assert_eq!(text_of(&dir, "conf/zoo.cfg.dynamic.next").await, None);
        assert_eq!(
            text_of(&dir, "conf/zoo.cfg.bak").await.as_deref(),
            Some(STATIC)
        );
        let expected = "# ours\ndataDir=data\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n\
                        reconfigEnabled=true\ndynamicConfigFile=conf/zoo.cfg.dynamic.100000003\n";
        assert_eq!(text_of(&dir, ZOO_CFG).await.as_deref(), Some(expected));
        let expected = "server.10=c:1:2:observer;0.0.0.0:2181\n\
                        server.1=a:1:2:participant;0.0.0.0:2181\n\
                        server.2=b:1:2:participant;0.0.0.0:2181";
        let read = text_of(&dir, "conf/zoo.cfg.dynamic.100000003").await;
        assert_eq!(read.as_deref(), Some(expected));

        let started = start(&host).await;
        assert_eq!(started.verifier.version(), VERSION);
        assert!(started.verifier.has_same_members(&next));

        // The next one, which is undecided; the backup stays that of the operator's file.
        let later = members(VERSION + 1);
        let written = dir.write_next(file, &later.to_text()).await;
        written.expect("written");
        let seen = start(&host).await.last_seen.expect("seen");
        assert_eq!(seen.version(), VERSION + 1);
        let text = later.to_text();
        let written = dir.write_members(file, VERSION + 1, &text, true).await;
        written.expect("written");
        assert_eq!(
            text_of(&dir, "conf/zoo.cfg.bak").await.as_deref(),
            Some(STATIC)
        );
        assert_eq!(start(&host).await.verifier.version(), VERSION + 1);
    });
}

/// The client's port stays where the list says nothing of it.
#[test]
fn the_client_port_moves_only_with_the_list() {
    on_host(1, async |host| {
        let dir = member(&host).await.expect("a disk that works");
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=5";
        let written = dir.write_members(Path::new(ZOO_CFG), 5, text, false);
        written.await.expect("written");
        let read = text_of(&dir, ZOO_CFG).await.expect("there");
        assert!(read.contains("\nclientPort=2181\n"), "{read}");
        assert_eq!(start(&host).await.client_port(), 2181);
    });
}

/// Every call of the disk takes a millisecond: a crash after each of them.
#[test]
fn a_crash_at_any_step_leaves_one_valid_choice() {
    let (mut old, mut new) = (0, 0);
    for step in 0..40 {
        for draw in 0..3 {
            on_host(step * 3 + draw, async |host| {
                let dir = member(&host).await.expect("a disk that works");
                let call = Duration::from_millis(1);
                host.set_disk_latency(call, call);
                let until = host.env().now() + call * u32::try_from(step).expect("small");
                let mut timer = host.env().timer();
                let text = members(VERSION).to_text();
                let reconfigure = async {
                    let file = Path::new(ZOO_CFG);
                    dir.write_next(file, &text).await?;
                    dir.write_members(file, VERSION, &text, true).await
                };
                let is_done = tokio::select! {
                    biased;
                    () = zk_env::sleep_until(&mut *timer, until) => false,
                    done = reconfigure => done.is_ok(),
                };
                crash(&host);
                host.set_disk_latency(Duration::ZERO, Duration::ZERO);
                let started = start(&host).await;
                match started.verifier.version() {
                    0 => {
                        assert!(!is_done);
                        assert_eq!(started.verifier.members().count(), 2);
                        old += 1;
                    }
                    VERSION => {
                        assert!(started.verifier.has_same_members(&members(VERSION)));
                        new += 1;
                    }
                    other => panic!("{other:#x}"),
                }
            });
        }
    }
    assert!(old > 20 && new > 20, "{old} old, {new} new");
}
