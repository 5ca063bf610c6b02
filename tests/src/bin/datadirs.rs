//! Fills a server with every kind of transaction, or tells everything in its tree, for
//! `scripts/datadirs.sh`, which moves data directories between servers.
//!
//! ```text
//! cargo run -p zk-tests --bin datadirs -- fill 127.0.0.1:2181 /subtree
//! cargo run -p zk-tests --bin datadirs -- dump 127.0.0.1:2181
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zk_client::{Acl, AclId, Client, CreateMode, Perms};
use zk_tests::tree::{Znode, read_tree};
use zk_tests::wait::eventually;

type Failure = Box<dyn Error + Send + Sync>;

/// Fills a ZooKeeper server, or tells what it has.
#[derive(Parser)]
enum Arguments {
    /// Does everything that leaves a transaction, below a path that does not exist.
    Fill {
        /// The server.
        connect: String,
        /// Below which path.
        path: String,
    },
    /// Prints every znode but those below `/zookeeper`, with data, ACL and metadata.
    Dump {
        /// The server.
        connect: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse() {
        Arguments::Fill { connect, path } => fill(&connect, &path).await,
        Arguments::Dump { connect } => dump(&connect).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("datadirs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sessions outlive the servers that are stopped and started meanwhile.
async fn connect(servers: &str) -> Result<Client, Failure> {
    let builder = Client::builder(servers)
        .session_timeout(Duration::from_secs(60))
        .auth("digest", "alice:secret");
    Ok(builder.connect().await?)
}

async fn fill(servers: &str, base: &str) -> Result<(), Failure> {
    let client = connect(servers).await?;
    let at = |name: &str| format!("{base}/{name}");
    client.create(base, b"", CreateMode::Persistent).await?;
    creates(&client, base).await?;
    changes(&client, base).await?;
    multis(&client, base).await?;
    reaped(&client, base).await?;

    // A session that ends with ephemerals, and one that goes on with them.
    let ending = connect(servers).await?;
    ending
        .create(&at("gone"), b"", CreateMode::Ephemeral)
        .await?;
    ending
        .create(&at("gone-"), b"", CreateMode::EphemeralSequential)
        .await?;
    ending.close().await?;
    let staying = connect(servers).await?;
    staying
        .create(&at("stays"), b"mine", CreateMode::Ephemeral)
        .await?;
    staying.sync("/").await?;
    client.close().await?;
    // Dropped as by a process that is killed: the session goes on.
    std::process::exit(0);
}

async fn creates(client: &Client, base: &str) -> Result<(), Failure> {
    let at = |name: &str| format!("{base}/{name}");
    let day = Duration::from_secs(86_400);
    client
        .create(&at("p"), b"data", CreateMode::Persistent)
        .await?;
    client
        .create2(&at("p2"), b"", CreateMode::Persistent)
        .await?;
    for _ in 0..3 {
        client
            .create(&at("s-"), b"s", CreateMode::PersistentSequential)
            .await?;
    }
    client.create(&at("c"), b"", CreateMode::Container).await?;
    client
        .create(&at("c/child"), b"", CreateMode::Persistent)
        .await?;
    client
        .create(&at("t"), b"t", CreateMode::PersistentWithTtl(day))
        .await?;
    client
        .create(
            &at("t-"),
            b"t",
            CreateMode::PersistentSequentialWithTtl(day),
        )
        .await?;
    client
        .create(&at("ümlaut"), "ü".as_bytes(), CreateMode::Persistent)
        .await?;
    client
        .create(&at("large"), [7; 200_000], CreateMode::Persistent)
        .await?;
    let readers = [AclId::new("ip", "127.0.0.1"), AclId::anyone()];
    let acl = readers.map(|id| Acl::new(Perms::READ, id));
    let options = CreateMode::Persistent.with_acl(acl.to_vec());
    client.create(&at("acl"), b"", options).await?;
    let own = CreateMode::Persistent.with_acl(vec![Acl::creator_all()]);
    client.create(&at("own"), b"", own).await?;
    Ok(())
}

async fn changes(client: &Client, base: &str) -> Result<(), Failure> {
    let at = |name: &str| format!("{base}/{name}");
    for data in [&b"one"[..], b"two", b""] {
        client.set_data(&at("p"), data, None).await?;
    }
    let acl = vec![
        Acl::open(),
        Acl::new(Perms::READ, AclId::new("ip", "10.0.0.0/8")),
    ];
    client.set_acl(&at("p"), acl, 0).await?;
    client
        .create(&at("p/child"), b"", CreateMode::Persistent)
        .await?;
    client
        .create(&at("p/other"), b"", CreateMode::Persistent)
        .await?;
    client.delete(&at("p/child"), None).await?;
    // Refused ones take a transaction, too.
    for refused in [
        client.delete(&at("missing"), None).await.is_err(),
        client
            .create(&at("p"), b"", CreateMode::Persistent)
            .await
            .is_err(),
        client.set_data(&at("p"), b"", 77).await.is_err(),
        client.delete(&at("p"), None).await.is_err(),
    ] {
        assert!(refused);
    }
    Ok(())
}

async fn multis(client: &Client, base: &str) -> Result<(), Failure> {
    let at = |name: &str| format!("{base}/{name}");
    let whole = client
        .transaction()
        .check(&at("p2"), 0)
        .create(&at("m"), b"m", CreateMode::Persistent)
        .create2(&at("m/s-"), b"", CreateMode::PersistentSequential)
        .create(&at("m/c"), b"", CreateMode::Container)
        .create(&at("m/x"), b"", CreateMode::Persistent)
        .set_data(&at("m"), b"changed", 0)
        .delete(&at("m/x"), None)
        .commit();
    whole.await?;
    let failing = client
        .transaction()
        .create(&at("never"), b"1", CreateMode::Persistent)
        .set_data(&at("p2"), b"never", None)
        .delete(&at("missing"), None)
        .create(&at("neither"), b"", CreateMode::Persistent)
        .commit();
    assert!(failing.await.is_err());
    Ok(())
}

/// An empty container and an old TTL znode go by the server's own transaction.
async fn reaped(client: &Client, base: &str) -> Result<(), Failure> {
    let short = Duration::from_millis(50);
    let (container, ttl) = (format!("{base}/empty"), format!("{base}/old"));
    client
        .create(&container, b"", CreateMode::Container)
        .await?;
    let child = format!("{container}/child");
    client.create(&child, b"", CreateMode::Persistent).await?;
    client.delete(&child, None).await?;
    client
        .create(&ttl, b"", CreateMode::PersistentWithTtl(short))
        .await?;
    for path in [&container, &ttl] {
        eventually("the reaper has come", async || {
            client
                .exists(path, None)
                .await
                .is_ok_and(|stat| stat.is_none())
        })
        .await;
    }
    Ok(())
}

async fn dump(servers: &str) -> Result<(), Failure> {
    let client = connect(servers).await?;
    // What asking has done to the tree is no part of the answer: a session's zxid alone.
    let mut text = String::new();
    for (path, znode) in read_tree(&client).await? {
        let Znode { data, acl, stat } = znode;
        writeln!(
            text,
            "{path} {:?} {acl:?} {stat:?}",
            data.escape_ascii().to_string()
        )?;
    }
    client.close().await?;
    print!("{text}");
    Ok(())
}
