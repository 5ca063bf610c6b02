use super::*;
use tokio::io::AsyncReadExt;

/// Notes when it is dropped.
struct Last {
    diary: Diary,
    word: &'static str,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.diary.note(self.word);
    }
}

/// A task that never ends by itself.
fn linger(host: &Host, diary: &Diary, word: &'static str) -> zk_env::TaskHandle {
    let last = Last {
        diary: diary.clone(),
        word,
    };
    let task = async move {
        std::future::pending::<()>().await;
        drop(last);
    };
    host.env().spawn("linger", Box::pin(task))
}

#[test]
fn a_kill_drops_tasks_at_once_in_order_and_without_running_them() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let started = linger(&host, &diary, "first");
        wait(SECOND).await;
        let fresh = linger(&host, &diary, "second");
        host.kill();
        assert_eq!(diary.lines(), [(SECOND, "first"), (SECOND, "second")]);
        assert_eq!(host.tasks(), []);
        assert!(!started.await);
        assert!(!fresh.await);
    });
}

#[test]
fn a_kill_spares_other_hosts() {
    run(1, async |sim| {
        let (host, other, diary) = (sim.host("a"), sim.host("b"), Diary::new(&sim));
        let task = linger(&other, &diary, "other");
        host.kill();
        wait(SECOND).await;
        assert!(!task.is_finished());
        assert_eq!(diary.lines(), []);
    });
}

#[test]
fn a_host_that_is_down_runs_nothing() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let env = host.env();
        host.kill();
        host.kill();
        assert!(!host.restart());
        assert!(!linger(&host, &diary, "dropped").await);
        assert_eq!(diary.lines().len(), 1);
        assert!(host.restart());
        // Nothing ends that did not begin.
        assert!(host.restart());
        assert!(host.is_running());
        assert!(env.spawn("alive", Box::pin(async {})).await);
    });
}

#[test]
fn tasks_that_dying_ones_spawn_do_not_live() {
    run(1, async |sim| {
        struct Heir(Host, Diary);
        impl Drop for Heir {
            fn drop(&mut self) {
                linger(&self.0, &self.1, "heir");
            }
        }
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let heir = Heir(host.clone(), diary.clone());
        let task = async move {
            std::future::pending::<()>().await;
            drop(heir);
        };
        host.env().spawn("parent", Box::pin(task));
        wait(SECOND).await;
        host.kill();
        assert!(host.restart());
        wait(SECOND).await;
        assert_eq!(diary.lines(), [(SECOND, "heir")]);
        assert_eq!(host.tasks(), []);
    });
}

#[test]
fn a_task_may_kill_its_own_host() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let other = linger(&host, &diary, "other");
        let (own, last) = (
            host.clone(),
            Last {
                diary: diary.clone(),
                word: "own",
            },
        );
        let task = async move {
            own.kill();
            last.diary.note("until the next await");
            std::future::pending::<()>().await;
            drop(last);
        };
        assert!(!host.env().spawn("killer", Box::pin(task)).await);
        assert!(!other.await);
        let words: Vec<_> = diary.lines().into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["other", "until the next await", "own"]);
    });
}

/// Waits for an hour for a byte or an end.
async fn hears_something(stream: &mut BoxStream) -> bool {
    let hour = 3600 * SECOND;
    tokio::time::timeout(hour, stream.read_u8()).await.is_ok()
}

#[test]
fn peers_of_a_killed_host_hear_nothing() {
    run(1, async |sim| {
        let (client, server) = (sim.host("client"), sim.host("server"));
        let (mut near, far) = connect(&client, &server).await;
        let hold = async move {
            std::future::pending::<()>().await;
            drop(far);
        };
        server.env().spawn("hold", Box::pin(hold));
        wait(SECOND).await;
        server.kill();
        assert!(!hears_something(&mut near).await);
    });
}

#[test]
fn a_paused_host_that_is_killed_comes_back_paused() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        host.pause();
        linger(&host, &diary, "gone");
        wait(SECOND).await;
        host.kill();
        assert!(host.restart());
        assert!(!host.is_running());
        let task = host.env().spawn("new", Box::pin(async {}));
        wait(SECOND).await;
        assert!(!task.is_finished());
        host.resume();
        assert!(task.await);
    });
}
