//! A small journal on the host's disk: what was synced is there after any loss of
//! power, or is known to be damaged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use zk_env::{BoxFuture, Disk, File, OpenMode};

use super::clients::{hosts, ms};
use crate::faults::mix::JOURNAL;
use crate::runner::{Stage, Workload};

/// Hosts with a journal.
const WORKERS: usize = 2;
const DIR: &str = "/journal";
/// Bytes of an entry: length of what follows, number, checksum over it, and filling.
const ENTRY: usize = 100;

/// Writers of journals, and how far each was synced.
#[derive(Debug, Default)]
pub(super) struct Journal(Arc<Synced>);

/// What is durable, by file: the number of entries. A file that failed a sync is relied
/// on no more and not listed.
#[derive(Debug, Default)]
struct Synced(Mutex<BTreeMap<(String, u64), u64>>);

impl Synced {
    fn with<R>(&self, see: impl FnOnce(&mut BTreeMap<(String, u64), u64>) -> R) -> R {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn promise(&self, host: &str, file: u64, entries: u64) {
        self.with(|synced| synced.insert((host.to_owned(), file), entries));
    }

    fn withdraw(&self, host: &str, file: u64) {
        self.with(|synced| synced.remove(&(host.to_owned(), file)));
    }

    /// The files of `host` that hold something, and how much.
    fn of(&self, host: &str) -> Vec<(u64, u64)> {
        self.with(|synced| {
            let own = synced.iter().filter(|((owner, _), _)| owner == host);
            own.map(|((_, file), entries)| (*file, *entries)).collect()
        })
    }

    /// A number for a new file.
    fn next_file(&self, host: &str) -> u64 {
        self.of(host).last().map_or(1, |(file, _)| file + 1)
    }
}

impl Workload for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn hosts(&self) -> Vec<String> {
        hosts(JOURNAL, WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        let synced = Arc::clone(&self.0);
        Box::pin(async move { work(&stage, &synced).await })
    }
}

async fn work(stage: &Stage, synced: &Synced) {
    let disk = stage.env().disk();
    recover(stage, &*disk, synced).await;
    while stage.goes_on() {
        // A new file after every failure: one that failed is not to be trusted.
        let file = synced.next_file(stage.host());
        if write(stage, &*disk, synced, file).await.is_err() {
            synced.withdraw(stage.host(), file);
        }
        stage.pause(ms(50, 500)).await;
    }
    recover(stage, &*disk, synced).await;
}

fn name(file: u64) -> String {
    format!("{DIR}/{file:08}")
}

/// Every promise is kept, or the damage shows.
async fn recover(stage: &Stage, disk: &dyn Disk, synced: &Synced) {
    for (file, entries) in synced.of(stage.host()) {
        match read(disk, file).await {
            Ok(bytes) => {
                if let Err(why) = check(&bytes, file, entries) {
                    stage.fail(format!("{} on {}: {why}", name(file), stage.host()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                stage.fail(format!("{} is gone from {}", name(file), stage.host()));
            }
            // A fault; the next start looks again.
            Err(_) => {}
        }
    }
}

async fn read(disk: &dyn Disk, file: u64) -> io::Result<Bytes> {
    let file = disk
        .open(Path::new(&name(file)), OpenMode::Existing)
        .await?;
    let length = usize::try_from(file.len().await?).unwrap_or(usize::MAX);
    file.read_at(0, length).await
}

fn entry(file: u64, number: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(ENTRY);
    out.put_u64(file);
    out.put_u64(number);
    out.put_u64(checksum(file, number));
    out.put_bytes(number as u8, ENTRY - out.len());
    out.freeze()
}

/// Something that neither zeros nor a single changed bit satisfies.
const fn checksum(file: u64, number: u64) -> u64 {
    (file ^ number.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// All that was synced is there. An entry in which one bit has changed is one that the
/// disk has damaged and that can be told; anything else is a loss.
fn check(bytes: &[u8], file: u64, entries: u64) -> Result<(), String> {
    for number in 0..entries {
        let at = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .saturating_mul(ENTRY);
        let Some(found) = bytes.get(at..at + ENTRY) else {
            return Err(format!(
                "{} bytes for {entries} synced entries",
                bytes.len()
            ));
        };
        let expected = entry(file, number);
        let changed: u32 = found
            .iter()
            .zip(&expected)
            .map(|(found, expected)| (found ^ expected).count_ones())
            .sum();
        // Rot changes a bit here and there; what was never written differs in many.
        if changed > 2 {
            return Err(format!("entry {number} of {entries} synced is not there"));
        }
    }
    Ok(())
}

/// Appends and syncs until something fails or the run is over.
async fn write(stage: &Stage, disk: &dyn Disk, synced: &Synced, file: u64) -> io::Result<()> {
    disk.create_dir_all(Path::new(DIR)).await?;
    disk.sync_dir(Path::new("/")).await?;
    let opened = disk.open(Path::new(&name(file)), OpenMode::Create).await?;
    opened.truncate(0).await?;
    opened.sync_data().await?;
    disk.sync_dir(Path::new(DIR)).await?;
    let mut rng = stage.rng("journal");
    let mut entries = 0;
    while stage.goes_on() {
        let count = 1 + rng.below(8);
        append(&*opened, file, entries..entries + count).await?;
        opened.sync_data().await?;
        entries += count;
        synced.promise(stage.host(), file, entries);
        stage.progress("sync");
        stage.pause(ms(5, 100)).await;
    }
    Ok(())
}

async fn append(file: &dyn File, name: u64, numbers: std::ops::Range<u64>) -> io::Result<()> {
    for number in numbers {
        file.append(entry(name, number)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        (0..3).flat_map(|number| entry(7, number)).collect()
    }

    #[test]
    fn what_was_synced_must_be_there() {
        assert_eq!(check(&written(), 7, 3), Ok(()));
        assert_eq!(check(&written(), 7, 2), Ok(()));
        assert!(check(&written(), 7, 4).is_err());
        let mut lost = written();
        lost[ENTRY..].fill(0);
        assert!(check(&lost, 7, 3).is_err());
    }

    #[test]
    fn rot_is_damage_and_no_loss() {
        let mut rotten = written();
        rotten[ENTRY + 5] ^= 4;
        assert_eq!(check(&rotten, 7, 3), Ok(()));
    }
}
