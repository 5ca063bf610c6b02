use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use zk_env::OpenMode;

use super::*;
use crate::faults::DiskFault;
use crate::observe::Observer;
use crate::runtime;

const SECOND: Duration = Duration::from_secs(1);

/// Notes what servers are asked to do.
#[derive(Default)]
struct Servers(RefCell<Vec<String>>);

impl Servers {
    fn note(&self, what: &str, host: &str) {
        self.0.borrow_mut().push(format!("{what} {host}"));
    }
}

impl ServerControl for Servers {
    fn drop_connections(&self, server: &str) {
        self.note("drop connections of", server);
    }

    fn expire_session(&self, server: &str, pick: u64) {
        self.note(&format!("expire session {pick} of"), server);
    }

    fn stop(&self, server: &str) {
        self.note("stop", server);
    }

    fn killed(&self, host: &str) {
        self.note("killed", host);
    }

    fn start(&self, host: &str) {
        self.note("start", host);
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Observer for Lines {
    fn observe(&mut self, _at: Duration, observation: &Observation<'_>) {
        let line = match observation {
            Observation::Fault { what, begins: true } => format!("begins: {what}"),
            Observation::Fault {
                what,
                begins: false,
            } => format!("ends: {what}"),
            Observation::Note { host, what } => format!("{host}: {what}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

fn host() -> String {
    "a".to_owned()
}

/// Begins `kind`, looks, and ends it.
async fn during<T>(sim: &Sim, kind: FaultKind, look: impl AsyncFnOnce() -> T) -> T {
    let servers = Servers::default();
    begin(sim, &kind, &servers);
    let seen = look().await;
    end(sim, &kind, &servers);
    seen
}

fn run<F: Future>(test: impl FnOnce(Sim) -> F) -> F::Output {
    runtime(1)
        .unwrap()
        .block_on(async { test(Sim::new(1)).await })
}

#[test]
fn a_fault_of_a_host_lasts_until_it_ends() {
    run(async |sim| {
        let a = sim.host("a");
        let is_running = async || a.is_running();
        assert!(!during(&sim, FaultKind::Pause { host: host() }, is_running).await);
        assert!(!during(&sim, FaultKind::Suspend { host: host() }, is_running).await);
        assert!(!during(&sim, FaultKind::Kill { host: host() }, is_running).await);
        assert!(a.is_running());
    });
}

#[test]
fn clocks_are_right_again_after_the_fault() {
    run(async |sim| {
        let (a, b) = (sim.host("a").env(), sim.host("b").env());
        let jump = FaultKind::WallJump {
            host: host(),
            ms: -7000,
        };
        let off = during(&sim, jump, async || b.wall().duration_since(a.wall())).await;
        assert_eq!(off.unwrap(), 7 * SECOND);
        assert_eq!(a.wall(), b.wall());
        let rate = FaultKind::ClockRate {
            host: host(),
            permille: 2000,
        };
        let pass = async || {
            let before = a.now();
            tokio::time::sleep(SECOND).await;
            a.now().since(before)
        };
        assert_eq!(during(&sim, rate, pass).await, 2 * SECOND);
        assert_eq!(pass().await, SECOND);
    });
}

#[test]
fn a_disk_works_again_after_the_fault() {
    run(async |sim| {
        let disk = sim.host("a").env().disk();
        let path = Path::new("log");
        let file = disk.open(path, OpenMode::CreateNew).await.unwrap();
        let append = async || file.append(Bytes::from_static(b"x")).await.is_ok();
        for how in [DiskFault::WriteFails, DiskFault::Full] {
            let fault = FaultKind::DiskError { host: host(), how };
            assert!(!during(&sim, fault, append).await);
            assert!(append().await);
        }
        let sync = async || {
            let before = sim.elapsed();
            file.sync_data().await.unwrap();
            sim.elapsed() - before
        };
        let slow = FaultKind::SlowSync {
            host: host(),
            takes: SECOND,
        };
        assert_eq!(during(&sim, slow, sync).await, SECOND);
        assert_eq!(sync().await, Duration::ZERO);
    });
}

#[test]
fn servers_are_told_what_concerns_them() {
    run(async |sim| {
        let (servers, server) = (Servers::default(), host());
        let kinds = [
            FaultKind::DropConnections {
                server: server.clone(),
            },
            FaultKind::ExpireSession {
                server: server.clone(),
                pick: 3,
            },
            FaultKind::Restart {
                server: server.clone(),
            },
            FaultKind::Kill { host: server },
        ];
        for kind in &kinds {
            begin(&sim, kind, &servers);
            end(&sim, kind, &servers);
        }
        let expected = [
            "drop connections of a",
            "expire session 3 of a",
            "stop a",
            "start a",
            "killed a",
            "start a",
        ];
        assert_eq!(*servers.0.borrow(), expected);
    });
}

#[test]
fn those_who_watch_are_told_in_words() {
    run(async |sim| {
        let lines = Lines::default();
        sim.watch(Box::new(lines.clone()));
        let disk = sim.host("a").env().disk();
        let file = disk
            .open(Path::new("log"), OpenMode::CreateNew)
            .await
            .unwrap();
        file.append(Bytes::from_static(b"x")).await.unwrap();
        file.sync_data().await.unwrap();
        disk.sync_dir(Path::new("")).await.unwrap();
        during(&sim, FaultKind::BitRot { host: host() }, async || ()).await;
        let silence = FaultKind::Silence {
            a: host(),
            b: "b".to_owned(),
        };
        during(&sim, silence, async || ()).await;
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines[0], "begins: bit rot: a");
        assert!(
            lines[1].ends_with("of byte 0 of log is flipped"),
            "{}",
            lines[1]
        );
        let rest = [
            "ends: bit rot: a",
            "begins: silence: a, b",
            "ends: silence: a, b",
        ];
        assert_eq!(lines[2..], rest);
    });
}
