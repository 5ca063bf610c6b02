use super::*;
use std::task::Poll;

/// What the three clocks show.
fn clocks(host: &Host) -> [Duration; 3] {
    let env = host.env();
    let wall = env.wall().duration_since(std::time::UNIX_EPOCH).unwrap();
    [
        env.now().since_origin(),
        env.boot_now().since_origin(),
        wall,
    ]
}

/// How far each clock goes while `time` passes.
async fn pass(host: &Host, time: Duration) -> [Duration; 3] {
    let before = clocks(host);
    wait(time).await;
    let after = clocks(host);
    [0, 1, 2].map(|clock| after[clock] - before[clock])
}

#[test]
fn clocks_of_hosts_are_their_own() {
    run(1, async |sim| {
        let (a, b) = (sim.host("a"), sim.host("b"));
        assert_eq!(clocks(&a), clocks(&b));
        a.jump_wall(-5000);
        b.jump_boot(3 * SECOND);
        let ([mono, boot, wall], other) = (clocks(&a), clocks(&b));
        assert_eq!(other, [mono, boot + 3 * SECOND, wall + 8 * SECOND]);
        b.jump(SECOND);
        assert_eq!(clocks(&b), other.map(|time| time + SECOND));
    });
}

#[test]
fn all_clocks_run_at_the_rate() {
    run(1, async |sim| {
        let host = sim.host("a");
        host.set_rate(500);
        assert_eq!(pass(&host, 4 * SECOND).await, [2 * SECOND; 3]);
        host.rate(2000);
        host.rate(3000);
        assert_eq!(pass(&host, SECOND).await, [3 * SECOND; 3]);
        host.end_rate(3000);
        assert_eq!(pass(&host, SECOND).await, [2 * SECOND; 3]);
        host.end_rate(2000);
        host.end_rate(2000);
        assert_eq!(pass(&host, 2 * SECOND).await, [SECOND; 3]);
    });
}

#[test]
fn a_suspend_stops_the_monotonic_clock_alone() {
    run(1, async |sim| {
        let host = sim.host("a");
        host.suspend();
        let passed = pass(&host, 7 * SECOND).await;
        assert_eq!(passed, [Duration::ZERO, 7 * SECOND, 7 * SECOND]);
        host.wake();
        assert_eq!(pass(&host, SECOND).await, [SECOND; 3]);
    });
}

#[test]
fn a_pause_stops_no_clock() {
    run(1, async |sim| {
        let host = sim.host("a");
        host.pause();
        assert_eq!(pass(&host, 7 * SECOND).await, [7 * SECOND; 3]);
    });
}

/// What is done so many seconds after the one before.
type Change<'c> = (u32, &'c dyn Fn(&Host));

/// When a timer of ten seconds, set at the beginning, fires, with these changes to
/// the clock.
async fn fires_after(sim: &Sim, changes: &[Change<'_>]) -> Duration {
    let host = sim.host("a");
    let before = sim.elapsed();
    let changing = async {
        for (after, change) in changes {
            wait(*after * SECOND).await;
            change(&host);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sleep(&host, 10 * SECOND) => {}
        () = changing => {}
    }
    sim.elapsed() - before
}

#[test]
fn timers_follow_the_clock_through_its_changes() {
    let fires = |changes: &[Change<'_>]| run(1, async |sim| fires_after(&sim, changes).await);
    assert_eq!(fires(&[]), 10 * SECOND);
    // Two seconds, then eight at half the rate.
    assert_eq!(fires(&[(2, &|host| host.set_rate(500))]), 18 * SECOND);
    // Two seconds, then eight at double the rate.
    assert_eq!(fires(&[(2, &|host| host.set_rate(2000))]), 6 * SECOND);
    let there_and_back: [Change<'_>; 2] = [
        (2, &|host| host.rate(4000)),
        (1, &|host| host.end_rate(4000)),
    ];
    assert_eq!(fires(&there_and_back), 7 * SECOND);
    let suspended: [Change<'_>; 2] = [(2, &Host::suspend), (60, &Host::wake)];
    assert_eq!(fires(&suspended), 70 * SECOND);
    assert_eq!(fires(&[(2, &|host| host.jump(5 * SECOND))]), 5 * SECOND);
    assert_eq!(fires(&[(2, &|host| host.jump(20 * SECOND))]), 2 * SECOND);
    assert_eq!(
        fires(&[(2, &|host| host.jump_boot(20 * SECOND))]),
        10 * SECOND
    );
    assert_eq!(fires(&[(2, &|host| host.jump_wall(99_999))]), 10 * SECOND);
}

#[test]
fn a_timer_can_be_moved_and_stays_ready() {
    run(1, async |sim| {
        let host = sim.host("a");
        let env = host.env();
        let at = |seconds: u32| zk_env::Mono::from_origin(seconds * SECOND);
        let mut timer = env.timer();
        let ready = std::future::poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready()));
        assert!(!ready.await);
        timer.reset(at(10));
        let ready = std::future::poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready()));
        assert!(!ready.await);
        sleep_until(&mut *timer, at(20)).await;
        assert_eq!(sim.elapsed(), 20 * SECOND);
        timer.reset(at(60));
        let ready = std::future::poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready()));
        assert!(!ready.await);
        sleep_until(&mut *timer, at(30)).await;
        assert_eq!(sim.elapsed(), 30 * SECOND);
        for _ in 0..2 {
            std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        }
        assert_eq!(sim.elapsed(), 30 * SECOND);
    });
}

/// The paused clock jumps to what is waited for, so that nothing else may be.
#[test]
fn an_unset_timer_does_not_pull_the_clock() {
    run(1, async |sim| {
        let host = sim.host("a");
        let env = host.env();
        let (mut fresh, mut unset) = (env.timer(), env.timer());
        unset.reset(zk_env::Mono::from_origin(10 * SECOND));
        let mut poll_both = async || {
            std::future::poll_fn(|cx| {
                let (fresh, unset) = (fresh.poll_expired(cx), unset.poll_expired(cx));
                Poll::Ready(fresh.is_ready() || unset.is_ready())
            })
            .await
        };
        assert!(!poll_both().await);
        wait(SECOND).await;
        assert!(!poll_both().await);
        unset.reset(zk_env::Mono::MAX);
        sleep(&host, 3600 * SECOND).await;
        assert_eq!(sim.elapsed(), 3601 * SECOND);
    });
}

#[test]
fn equal_deadlines_come_in_the_order_of_their_timers() {
    run(1, async |sim| {
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let mut tasks = Vec::new();
        for name in ["first", "second", "third"] {
            let (sleeper, diary) = (host.clone(), diary.clone());
            let task = async move {
                sleep(&sleeper, SECOND).await;
                diary.note(name);
            };
            tasks.push(host.env().spawn(name, Box::pin(task)));
        }
        for task in tasks {
            assert!(task.await);
        }
        let names: Vec<_> = diary.lines().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["first", "second", "third"]);
    });
}

/// A timer is woken at a deadline that it had before, and waits on.
#[test]
fn a_timer_moved_away_fires_at_its_last_deadline() {
    run(1, async |sim| {
        let host = sim.host("a");
        let env = host.env();
        let mut timer = env.timer();
        for seconds in [10, 20, 15, 40] {
            timer.reset(zk_env::Mono::from_origin(seconds * SECOND));
            std::future::poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready())).await;
        }
        std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(sim.elapsed(), 40 * SECOND);
    });
}
