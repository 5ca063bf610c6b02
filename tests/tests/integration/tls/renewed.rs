//! Files that are replaced while a client goes on.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zk_tests::wait::{eventually, until_connected, until_not_connected};
use zk_tests::{Cut, Proxy};

use super::*;

fn file(dir: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// A client behind a proxy that can cut it off, with its roots in a file.
async fn with_roots_in(roots: &Path, stage: &Stage) -> (Proxy, TlsFront, Client) {
    let proxy = Proxy::start(stage.target.host()).await;
    let front = stage.front_of(&proxy.host()).await;
    let client = stage.connected(&front, Tls::with_roots_file(roots)).await;
    (proxy, front, client)
}

#[tokio::test]
async fn what_is_replaced_counts_from_the_next_connection_on() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let roots = file(&dir, "ca.pem", &stage.authority.pem());
    let (proxy, front, client) = with_roots_in(&roots, &stage).await;
    fs::write(&roots, Authority::new("strangers").pem()).unwrap();
    let before = front.refused();
    proxy.cut(Cut::Reset);
    let has_tried = async || front.refused() >= before + 2;
    eventually("attempts with other roots", has_tried).await;
    assert!(!client.state().borrow().is_connected());
    fs::write(&roots, stage.authority.pem()).unwrap();
    until_connected(&client).await;
    works(&client).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_not_used() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let roots = file(&dir, "ca.pem", &stage.authority.pem());
    let (proxy, _front, client) = with_roots_in(&roots, &stage).await;
    fs::write(&roots, "half a cert").unwrap();
    proxy.refuse(true);
    proxy.cut(Cut::Reset);
    until_not_connected(&client).await;
    proxy.refuse(false);
    until_connected(&client).await;
    works(&client).await;
}
