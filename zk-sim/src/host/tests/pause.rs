use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An echo server on `server`, and the longest that `client`, which asks every 100 ms
/// for 20 s, waits for an answer.
async fn longest_gap(sim: &Sim, fault: impl AsyncFnOnce(&Host)) -> Duration {
    let (client, server) = (sim.host("client"), sim.host("server"));
    let (mut near, mut far) = connect(&client, &server).await;
    let echo = async move {
        while let Ok(byte) = far.read_u8().await {
            far.write_u8(byte).await.unwrap();
        }
    };
    server.env().spawn("echo", Box::pin(echo));
    let asking = async {
        let (start, mut longest) = (sim.elapsed(), Duration::ZERO);
        while sim.elapsed() < start + 20 * SECOND {
            let asked = sim.elapsed();
            near.write_u8(7).await.unwrap();
            assert_eq!(near.read_u8().await.unwrap(), 7);
            longest = longest.max(sim.elapsed() - asked);
            sleep(&client, Duration::from_millis(100)).await;
        }
        longest
    };
    let (longest, ()) = tokio::join!(asking, async {
        wait(3 * SECOND).await;
        fault(&server).await;
    });
    longest
}

#[test]
fn a_paused_server_gives_its_peers_a_gap() {
    run(1, async |sim| {
        let gap = longest_gap(&sim, async |server| {
            server.pause();
            wait(7 * SECOND).await;
            server.resume();
        });
        let gap = gap.await;
        assert!((6 * SECOND..8 * SECOND).contains(&gap), "{gap:?}");
    });
}

#[test]
fn a_suspended_server_gives_its_peers_a_gap() {
    run(1, async |sim| {
        let gap = longest_gap(&sim, async |server| {
            server.suspend();
            wait(7 * SECOND).await;
            server.wake();
        });
        let gap = gap.await;
        assert!((6 * SECOND..8 * SECOND).contains(&gap), "{gap:?}");
    });
}

#[test]
fn without_a_fault_there_is_no_gap() {
    run(1, async |sim| {
        let gap = longest_gap(&sim, async |_| ()).await;
        assert!(gap < Duration::from_millis(10), "{gap:?}");
    });
}

/// A task that notes every second.
fn clockwork(host: &Host, diary: &Diary) {
    let (own, diary) = (host.clone(), diary.clone());
    let task = async move {
        loop {
            sleep(&own, SECOND).await;
            diary.note("tick");
        }
    };
    host.env().spawn("clockwork", Box::pin(task));
}

fn ticks(diary: &Diary) -> Vec<u64> {
    diary.lines().iter().map(|(at, _)| at.as_secs()).collect()
}

#[test]
fn timers_that_came_due_in_a_pause_fire_when_it_ends() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        clockwork(&host, &diary);
        wait(Duration::from_millis(1500)).await;
        host.pause();
        wait(5 * SECOND).await;
        assert_eq!(ticks(&diary), [1]);
        host.resume();
        wait(Duration::from_millis(2100)).await;
        // At 6.5 s, and every second from then on.
        assert_eq!(ticks(&diary), [1, 6, 7, 8]);
    });
}

#[test]
fn timers_do_not_pass_in_a_suspend() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        clockwork(&host, &diary);
        wait(Duration::from_millis(1500)).await;
        host.suspend();
        wait(5 * SECOND).await;
        host.wake();
        wait(Duration::from_millis(1600)).await;
        // Half of the second was over when it slept.
        assert_eq!(ticks(&diary), [1, 7, 8]);
    });
}

#[test]
fn a_host_runs_when_all_that_stopped_it_is_over() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        clockwork(&host, &diary);
        host.pause();
        host.pause();
        host.suspend();
        host.resume();
        host.wake();
        assert!(!host.is_running());
        wait(3 * SECOND).await;
        assert_eq!(ticks(&diary), [0; 0]);
        host.resume();
        assert!(host.is_running());
        // One too many does not help a later pause.
        host.resume();
        wait(Duration::from_millis(1500)).await;
        assert_eq!(ticks(&diary).len(), 1);
        host.pause();
        assert!(!host.is_running());
    });
}

/// A task that was woken often runs once, and others run in the order of their wakes.
#[test]
fn tasks_run_after_a_pause_in_the_order_of_their_wakes() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let bells = ["first", "second"].map(|name| {
            let (bell, mut rings) = tokio::sync::watch::channel(());
            let diary = diary.clone();
            let task = async move {
                while rings.changed().await.is_ok() {
                    diary.note(name);
                }
            };
            host.env().spawn(name, Box::pin(task));
            bell
        });
        wait(SECOND).await;
        host.pause();
        for bell in [1, 1, 0, 1, 0] {
            bells[bell].send_replace(());
            wait(SECOND).await;
        }
        host.resume();
        wait(SECOND).await;
        let names: Vec<_> = diary.lines().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["second", "first"]);
    });
}
