//! The machine loses power, at any step.

use super::*;

/// Writes a history with rolls and snapshots until the disk ends it; returns the last
/// transaction that was flushed.
async fn write_until_the_end(
    host: &Host,
    flushed: &std::cell::Cell<i64>,
) -> Result<(), StorageError> {
    let dir = fresh_dir(host).await?;
    let mut log = log_of(&dir);
    for zxid in 1..=40 {
        append(&mut log, zxid);
        if zxid % 3 == 0 {
            log.flush().await?;
            flushed.set(zxid);
        }
        if zxid % 12 == 0 {
            log.roll().await?;
            flushed.set(zxid);
            let tree = tree_after(zxid);
            write_snapshot(&dir, &mut Still(&tree, vec![(SESSION, 6000)])).await?;
            purge(&dir, 3).await?;
        }
    }
    Ok(())
}

/// Every call of the disk takes a millisecond, so that a crash after each of them is a
/// crash at each step; every step with several draws of what a crash keeps.
#[test]
fn a_crash_at_any_step_loses_nothing_that_was_flushed() {
    let mut restarts = 0;
    for step in 0..160 {
        for draw in 0..3 {
            on_host(step * 3 + draw, async |host| {
                let call = std::time::Duration::from_millis(1);
                host.set_disk_latency(call, call);
                let flushed = std::cell::Cell::new(0);
                let limit = call * u32::try_from(step).expect("small");
                let mut timer = host.env().timer();
                let until = host.env().now() + limit;
                let is_cut = tokio::select! {
                    biased;
                    () = zk_env::sleep_until(&mut *timer, until) => true,
                    _ = write_until_the_end(&host, &flushed) => false,
                };
                crash(&host);
                host.set_disk_latency(std::time::Duration::ZERO, std::time::Duration::ZERO);
                let dir = dir_of(&host).await.expect("a disk that works");
                let last = match recover(&dir, HASHING).await.expect("nothing is damaged") {
                    Recovery::Empty => 0,
                    Recovery::Data(recovered) => {
                        let last = recovered.last_zxid.0;
                        expect_history(&recovered, last);
                        last
                    }
                };
                assert!(last >= flushed.get(), "{last} < {}", flushed.get());
                restarts += usize::from(is_cut && last > 0);
                if last > 0 {
                    goes_on(&host, &dir, last).await;
                }
            });
        }
    }
    assert!(restarts > 100, "{restarts}");
}

/// What was recovered can be built upon, also after another crash.
async fn goes_on(host: &Host, dir: &DataDir, last: i64) {
    let mut log = log_of(dir);
    for zxid in last + 1..last + 4 {
        append(&mut log, zxid);
    }
    log.flush().await.expect("a disk that works");
    append(&mut log, last + 4);
    crash(host);
    let dir = dir_of(host).await.expect("a disk that works");
    expect_history(
        &recovered(&dir).await.expect("nothing is damaged"),
        last + 3,
    );
}

/// A restart after a restart, each in the middle of a batch.
#[test]
fn torn_ends_of_several_runs_are_no_gaps() {
    for seed in 0..60 {
        on_host(seed, async |host| {
            let mut dir = fresh_dir(&host).await.expect("a disk that works");
            let mut last = 0;
            for _ in 0..4 {
                let mut log = log_of(&dir);
                for zxid in last + 1..=last + 5 {
                    append(&mut log, zxid);
                }
                log.flush().await.expect("a disk that works");
                for zxid in last + 6..=last + 12 {
                    append(&mut log, zxid);
                }
                // Written, and not synced.
                poll_some(log.flush(), 1).await;
                crash(&host);
                dir = dir_of(&host).await.expect("a disk that works");
                let recovered = recovered(&dir).await.expect("nothing is damaged");
                expect_history(&recovered, recovered.last_zxid.0);
                assert!(recovered.last_zxid.0 >= last + 5);
                last = recovered.last_zxid.0;
            }
        });
    }
}

#[test]
fn a_full_or_failing_disk_ends_the_log_and_loses_nothing() {
    use zk_sim::faults::DiskFault;
    for fault in [DiskFault::Full, DiskFault::WriteFails, DiskFault::SyncFails] {
        for seed in 0..20 {
            on_host(seed, async |host| {
                let dir = fresh_dir(&host).await.expect("a disk that works");
                let mut log = log_of(&dir);
                (1..=5).for_each(|zxid| append(&mut log, zxid));
                log.flush().await.expect("a disk that works");
                host.disk_fault(fault);
                (6..=40).for_each(|zxid| append(&mut log, zxid));
                let error = log.flush().await.expect_err("the disk fails");
                assert!(matches!(error, StorageError::Disk { .. }), "{error}");
                let tree = tree_after(5);
                let snapshot = write_snapshot(&dir, &mut Still(&tree, Vec::new())).await;
                snapshot.expect_err("the disk fails");
                host.end_disk_fault(fault);
                // A disk that has lied once is not asked again.
                append(&mut log, 41);
                log.flush().await.expect_err("the first error is final");
                crash(&host);
                let dir = dir_of(&host).await.expect("a disk that works");
                let recovered = recovered(&dir).await.expect("nothing is damaged");
                expect_history(&recovered, recovered.last_zxid.0);
                assert!(recovered.last_zxid.0 >= 5);
            });
        }
    }
}
