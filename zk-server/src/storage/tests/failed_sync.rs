//! A server that starts anew on a disk that has failed under it, without a loss of power in
//! between: the system's cache shows what the disk may not have.

use zk_sim::faults::DiskFault;

use super::*;

/// So few that the file need not be extended for them, which would fail before the write.
const LAST: i64 = 11;

/// Five transactions that are durable, then some that meet `fault`. The process ends, the
/// machine goes on, and the disk works again.
async fn after(fault: DiskFault, host: &Host) -> DataDir {
    let dir = fresh_dir(host).await.expect("a disk that works");
    let mut log = log_of(&dir);
    (1..=5).for_each(|zxid| append(&mut log, zxid));
    log.flush().await.expect("a disk that works");
    host.disk_fault(fault);
    (6..=LAST).for_each(|zxid| append(&mut log, zxid));
    log.flush().await.expect_err("the disk fails");
    host.end_disk_fault(fault);
    drop((log, dir));
    dir_of(host).await.expect("a disk that works")
}

async fn last_recovered(dir: &DataDir) -> i64 {
    let recovered = recovered(dir).await.expect("nothing is damaged");
    expect_history(&recovered, recovered.last_zxid.0);
    recovered.last_zxid.0
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again() {
    let mut would_have_been_lost = 0;
    for seed in 0..60 {
        let last = on_host(seed, async |host| {
            let dir = after(DiskFault::SyncFails, &host).await;
            let last = last_recovered(&dir).await;
            crash(&host);
            let dir = dir_of(&host).await.expect("a disk that works");
            assert_eq!(last_recovered(&dir).await, last, "seed {seed}");
            last
        });
        assert_eq!(last, LAST, "a failed sync takes nothing from the cache");
        // The same, but for the recovery: another sync, which finds nothing to write.
        let left = on_host(seed, async |host| {
            let dir = after(DiskFault::SyncFails, &host).await;
            let path = dir.log_dir().join("log.1");
            let file = dir.disk.open(&path, OpenMode::Existing).await;
            let synced = file.expect("it is there").sync_data().await;
            synced.expect("a disk that works");
            crash(&host);
            let dir = dir_of(&host).await.expect("a disk that works");
            match recovered(&dir).await {
                Ok(recovered) => recovered.last_zxid.0,
                Err(_) => 0,
            }
        });
        would_have_been_lost += usize::from(left < last);
    }
    assert!(would_have_been_lost > 10, "{would_have_been_lost}");
}

#[test]
fn what_a_failed_write_left_is_whole_transactions_and_stays() {
    let mut torn = 0;
    for seed in 0..60 {
        on_host(seed, async |host| {
            let dir = after(DiskFault::WriteFails, &host).await;
            let last = last_recovered(&dir).await;
            assert!(last >= 5, "seed {seed}: {last}");
            torn += usize::from((6..LAST).contains(&last));
            crash(&host);
            let dir = dir_of(&host).await.expect("a disk that works");
            assert_eq!(last_recovered(&dir).await, last, "seed {seed}");
        });
    }
    assert!(torn > 10, "{torn} writes failed half way");
}
