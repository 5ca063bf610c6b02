//! Errors, slowness, little space, bit rot.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::faults::DiskFault;
use zk_env::sleep_until;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn calls_fail_as_long_as_the_fault_lasts() {
    on_host(1, async |host| {
        let file = create(&host, "a").await.unwrap();
        for fault in [
            DiskFault::WriteFails,
            DiskFault::SyncFails,
            DiskFault::ReadFails,
        ] {
            host.disk_fault(fault);
            host.disk_fault(fault);
            host.end_disk_fault(fault);
            let fails = |how| fault == how;
            let written = append(&*file, "x").await;
            assert_eq!(written.is_err(), fails(DiskFault::WriteFails));
            let synced = file.sync_data().await;
            assert_eq!(synced.is_err(), fails(DiskFault::SyncFails));
            let synced = disk(&host).sync_dir(Path::new("")).await;
            assert_eq!(synced.is_err(), fails(DiskFault::SyncFails));
            let read = file.read_at(0, 1).await;
            assert_eq!(read.is_err(), fails(DiskFault::ReadFails));
            let listed = disk(&host).list(Path::new("")).await;
            assert_eq!(listed.is_err(), fails(DiskFault::ReadFails));
            host.end_disk_fault(fault);
        }
        append(&*file, "x").await.unwrap();
        file.sync_data().await.unwrap();
    });
}

#[test]
fn any_call_may_fail_by_chance() {
    on_host(1, async |host| {
        let file = create(&host, "a").await.unwrap();
        host.set_disk_errors(100);
        let mut failed = 0;
        for _ in 0..500 {
            failed += u32::from(file.len().await.is_err());
            failed += u32::from(file.sync_data().await.is_err());
        }
        assert!((50..200).contains(&failed), "{failed}");
    });
}

#[test]
fn a_failed_write_leaves_any_part() {
    let part = |seed| {
        on_host(seed, async |host| {
            let file = create(&host, "a").await.unwrap();
            host.disk_fault(DiskFault::WriteFails);
            assert!(append(&*file, "abc").await.is_err());
            host.end_disk_fault(DiskFault::WriteFails);
            contents(&host, "a").await.unwrap()
        })
    };
    let parts: BTreeSet<Bytes> = (0..100).map(part).collect();
    let expected = ["", "a", "ab", "abc"].map(Bytes::from);
    assert_eq!(parts, BTreeSet::from(expected));
}

#[test]
fn what_a_failed_sync_lost_a_later_one_does_not_save() {
    let outcome = |seed| {
        on_host(seed, async |host| {
            let file = create(&host, "a").await.unwrap();
            disk(&host).sync_dir(Path::new("")).await.unwrap();
            append(&*file, "gone?").await.unwrap();
            host.disk_fault(DiskFault::SyncFails);
            assert!(file.sync_data().await.is_err());
            host.end_disk_fault(DiskFault::SyncFails);
            assert_eq!(contents(&host, "a").await.unwrap(), "gone?");
            file.sync_data().await.unwrap();
            crash(&host);
            contents(&host, "a").await.unwrap() == "gone?"
        })
    };
    let outcomes: BTreeSet<bool> = (0..100).map(outcome).collect();
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn a_full_disk_takes_no_more_but_overwrites() {
    on_host(1, async |host| {
        host.set_disk_capacity(10);
        let file = create(&host, "a").await.unwrap();
        append(&*file, "12345").await.unwrap();
        let too_much = append(&*file, "678901").await;
        assert_eq!(kind(too_much), io::ErrorKind::StorageFull);
        assert!(file.len().await.unwrap() <= 10);
        file.truncate(10).await.unwrap();
        assert_eq!(kind(create(&host, "b").await), io::ErrorKind::StorageFull);
        file.write_at(8, Bytes::from_static(b"xy")).await.unwrap();
        disk(&host).remove(Path::new("a")).await.unwrap();
        create(&host, "b").await.unwrap();
        let (written, grown) = (append(&*file, "z").await, file.truncate(100).await);
        written.unwrap();
        assert_eq!(kind(grown), io::ErrorKind::StorageFull);
    });
}

#[test]
fn a_disk_that_is_full_may_say_so_at_the_sync() {
    let outcome = |seed| {
        on_host(seed, async |host| {
            let file = create(&host, "a").await.unwrap();
            append(&*file, "x").await.unwrap();
            host.disk_fault(DiskFault::Full);
            let synced = file.sync_data().await;
            synced.map_err(|error| error.kind())
        })
    };
    let mut outcomes: Vec<_> = (0..100).map(outcome).collect();
    outcomes.dedup();
    assert!(outcomes.contains(&Ok(())));
    assert!(outcomes.contains(&Err(io::ErrorKind::StorageFull)));
}

#[test]
fn calls_take_their_time_one_after_the_other() {
    on_host(1, async |host| {
        let sim_time = || host.env().now().since_origin();
        host.set_disk_latency(SECOND, 2 * SECOND);
        let file = create(&host, "a").await.unwrap();
        assert_eq!(sim_time(), SECOND);
        file.sync_data().await.unwrap();
        assert_eq!(sim_time(), 3 * SECOND);
        host.slow_sync(5 * SECOND);
        let (first, second) = tokio::join!(file.sync_data(), append(&*file, "x"));
        first.unwrap();
        second.unwrap();
        assert_eq!(sim_time(), 11 * SECOND);
        host.end_slow_sync(5 * SECOND);
        file.sync_data().await.unwrap();
        assert_eq!(sim_time(), 13 * SECOND);
    });
}

#[test]
fn a_crash_during_a_slow_sync_finds_either() {
    let outcome = |seed| {
        on_host(seed, async |host| {
            let file = create(&host, "a").await.unwrap();
            disk(&host).sync_dir(Path::new("")).await.unwrap();
            append(&*file, "x").await.unwrap();
            host.slow_sync(10 * SECOND);
            let env = host.env();
            let syncing = async { file.sync_data().await };
            let crashing = async {
                sleep_until(&mut *env.timer(), env.now() + SECOND).await;
                crash(&host);
            };
            let (synced, ()) = tokio::join!(syncing, crashing);
            assert!(synced.is_err());
            contents(&host, "a").await.unwrap() == "x"
        })
    };
    let outcomes: BTreeSet<bool> = (0..100).map(outcome).collect();
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn rot_flips_one_bit_of_what_is_durable() {
    on_host(1, async |host| {
        assert_eq!(host.rot(), None);
        let file = create(&host, "a").await.unwrap();
        append(&*file, "precious").await.unwrap();
        file.sync_data().await.unwrap();
        disk(&host).sync_dir(Path::new("")).await.unwrap();
        let rotten = host.rot().unwrap();
        assert_eq!(rotten.path, Path::new("a"));
        let mut expected = *b"precious";
        expected[rotten.offset as usize] ^= 1 << rotten.bit;
        assert_eq!(contents(&host, "a").await.unwrap(), expected[..]);
        crash(&host);
        assert_eq!(contents(&host, "a").await.unwrap(), expected[..]);
    });
}
