use std::collections::BTreeSet;

use super::*;
use crate::Task;

#[test]
fn a_census_names_tasks_by_host() {
    run(1, async |sim| {
        let (a, b) = (sim.host("a"), sim.host("b"));
        sim.host("idle");
        let long = a.env().spawn("long", Box::pin(std::future::pending()));
        wait(SECOND).await;
        a.env().spawn("short", Box::pin(async {}));
        b.env().spawn("other", Box::pin(std::future::pending()));
        b.pause();
        assert_eq!(a.tasks().len(), 2);
        wait(SECOND).await;
        let task = |name, seconds, is_paused| Task {
            name,
            age: seconds * SECOND,
            is_paused,
        };
        let census = sim.tasks();
        let census: Vec<_> = census.iter().collect();
        let expected = [
            (&"a".to_owned(), &vec![task("long", 2, false)]),
            (&"b".to_owned(), &vec![task("other", 1, true)]),
        ];
        assert_eq!(census, expected);
        long.abort();
        assert!(!long.await);
        assert_eq!(a.tasks(), []);
    });
}

#[test]
fn a_task_that_panics_leaves_the_census() {
    run(1, async |sim| {
        let host = sim.host("a");
        let task = host
            .env()
            .spawn("bad", Box::pin(async { panic!("as it should") }));
        assert!(!task.await);
        assert_eq!(host.tasks(), []);
    });
}

#[test]
fn a_paused_task_can_be_aborted() {
    run(1, async |sim| {
        let host = sim.host("a");
        let task = host.env().spawn("long", Box::pin(std::future::pending()));
        host.pause();
        task.abort();
        assert!(!task.await);
        host.resume();
    });
}

/// The order in which eight tasks finish that take three turns each.
fn finishing_order(seed: u64, yields: u32) -> Vec<&'static str> {
    run(seed, async |sim| {
        sim.set_yields(yields);
        let (host, diary) = (sim.host("a"), Diary::new(&sim));
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let tasks = names.map(|name| {
            let diary = diary.clone();
            let task = async move {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                diary.note(name);
            };
            host.env().spawn(name, Box::pin(task))
        });
        for task in tasks {
            assert!(task.await);
        }
        diary.lines().into_iter().map(|(_, name)| name).collect()
    })
}

#[test]
fn yields_vary_the_order_from_seed_to_seed() {
    let orders =
        |yields| -> BTreeSet<_> { (0..20).map(|seed| finishing_order(seed, yields)).collect() };
    assert_eq!(orders(0).len(), 1);
    assert!(orders(200).len() > 15);
    assert_eq!(orders(200), orders(200));
}

#[test]
fn a_simulation_ends_with_the_tasks_of_its_hosts() {
    run(1, async |sim| {
        let alive = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        // The network's own.
        wait(SECOND).await;
        let before = alive();
        let host = sim.host("a");
        let own = host.clone();
        let task = async move { sleep(&own, SECOND).await };
        assert!(host.env().spawn("sleeper", Box::pin(task)).await);
        drop((host, sim));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(alive() < before);
    });
}

#[test]
fn generators_of_one_name_differ() {
    run(1, async |sim| {
        let host = sim.host("a");
        let draws: BTreeSet<u64> = (0..10).map(|_| host.env().rng("task").next_u64()).collect();
        assert_eq!(draws.len(), 10);
        // A host that starts anew does not repeat itself.
        host.kill();
        host.restart();
        assert!(!draws.contains(&host.env().rng("task").next_u64()));
        let again = Sim::new(1).host("a").env().rng("task").next_u64();
        assert!(draws.contains(&again));
    });
}
