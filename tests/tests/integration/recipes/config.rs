//! Documents that are watched.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use zk_client::CreateMode;
use zk_recipes::{ConfigWatch, Error, Format, Source};
use zk_tests::wait::{eventually, until_connected, until_not_connected, within};
use zk_tests::{Cut, Proxy, Target};

use super::*;

const PATH: &str = "/config";

/// Decimal numbers.
fn number() -> Format<u64> {
    Format::decoding(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => text
            .trim()
            .parse::<u64>()
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
    .encoding(|number| Ok::<_, String>(number.to_string().into_bytes()))
}

async fn watch(client: &Client) -> ConfigWatch<u64> {
    client.sync(PATH).await.unwrap();
    let watching = ConfigWatch::builder(client, PATH, number()).build();
    within("the config", watching).await.unwrap()
}

async fn create(client: &Client, document: &str) {
    let created = client.create(PATH, document, CreateMode::Persistent).await;
    created.unwrap();
}

/// Waits until the value is this.
async fn until(config: &ConfigWatch<u64>, value: u64) {
    let mut values = config.subscribe();
    let there = values.wait_for(|now| now.value == value);
    drop(within(&format!("the value {value}"), there).await.unwrap());
}

/// A file of its own, gone with the test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("zk-config-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_bad_document_is_reported_and_the_last_good_one_stays() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    create(&other, "1").await;
    let config = watch(&client).await;
    assert_eq!(config.current().value, 1);
    let mut bad = config.bad();
    other.set_data(PATH, b"2", None).await.unwrap();
    until(&config, 2).await;
    let stat = other.set_data(PATH, b"two", None).await.unwrap();
    let report = within("the report", bad.wait_for(Option::is_some)).await;
    assert_eq!(report.unwrap().as_ref().unwrap().mzxid, Some(stat.mzxid));
    assert_eq!(config.current().value, 2);
    other.delete(PATH, None).await.unwrap();
    let gone = |report: &Option<zk_recipes::watch::BadDocument>| {
        report.as_ref().is_some_and(|report| report.mzxid.is_none())
    };
    drop(within("the report", bad.wait_for(gone)).await.unwrap());
    assert_eq!(config.current().value, 2);
    create(&other, "3").await;
    until(&config, 3).await;
    drop(
        within("all is well", bad.wait_for(Option::is_none))
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn there_must_be_a_first_good_document() {
    let target = Target::start().await;
    let client = target.client().await;
    let build = || ConfigWatch::builder(&client, PATH, number()).build();
    let missing = within("the error", build()).await.unwrap_err();
    assert!(
        matches!(&missing, Error::Client(error) if error.code() == Some(zk_client::ErrorCode::NoNode))
    );
    create(&client, "one").await;
    let bad = within("the error", build()).await.unwrap_err();
    assert!(matches!(bad, Error::BadDocument { .. }), "{bad}");
}

#[tokio::test]
async fn updates_of_many_are_all_there() {
    let target = Target::start().await;
    let observer = target.client().await;
    create(&observer, "0").await;
    let mut updates = Vec::new();
    for _ in 0..4 {
        let config = watch(&target.client().await).await;
        updates.push(async move {
            for _ in 0..10 {
                within("the update", config.update(|number| number + 1))
                    .await
                    .unwrap();
            }
        });
    }
    futures_util::future::join_all(updates).await;
    assert_eq!(watch(&observer).await.current().value, 40);
}

#[tokio::test]
async fn a_format_that_only_reads_cannot_update() {
    let target = Target::start().await;
    let client = target.client().await;
    create(&client, "x").await;
    let format = Format::decoding(|bytes| Ok::<_, String>(bytes.to_vec()));
    let config = ConfigWatch::builder(&client, PATH, format).build();
    let config = within("the config", config).await.unwrap();
    let refused = within("the error", config.update(|value| value))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        Error::InvalidArgument {
            argument: "format",
            ..
        }
    ));
}

#[tokio::test]
async fn a_service_boots_from_its_snapshot_while_the_server_is_away() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let client = target.client_through(&proxy.host()).await;
    let other = target.client().await;
    let file = TemporaryFile::new();
    assert_eq!(ConfigWatch::last_known(&file.0, &number()).await, None);
    create(&other, "7").await;
    let build = || {
        let builder = ConfigWatch::builder(&client, PATH, number()).snapshot(&file.0);
        builder
            .deadline(std::time::Duration::from_millis(200))
            .build()
    };
    let config = watch(&client).await;
    drop(within("the config", build()).await.unwrap());
    let keeper = within("the config", build()).await.unwrap();
    eventually("the snapshot", async || {
        let known = ConfigWatch::last_known(&file.0, &number()).await;
        known.is_some_and(|known| known.value == 7 && known.source == Source::Snapshot)
    })
    .await;
    drop((config, keeper));
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    let config = within("the config", build()).await.unwrap();
    assert_eq!(config.current().value, 7);
    assert_eq!(config.current().source, Source::Snapshot);
    assert_eq!(config.age(), None);
    other.set_data(PATH, b"8", None).await.unwrap();
    proxy.refuse(false);
    until_connected(&client).await;
    until(&config, 8).await;
    assert!(matches!(
        config.current().source,
        Source::Znode { version: 1, .. }
    ));
}
