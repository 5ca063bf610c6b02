//! What a client tells of itself in the log, and what it never tells.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use zk_client::{CreateMode, Error};
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected};
use zk_tests::{Cut, Proxy, Target};

/// Everything logged on this thread, down to the frames.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_shows_ids_in_hexadecimal_and_neither_data_nor_passwords() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // The test's runtime has this thread alone.
    let _guard = tracing::subscriber::set_default(subscriber);
    // While there is but one subscriber, tracing lets whichever thread comes first
    // decide for all whether an event is wanted; other tests' threads want none.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());

    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.auth("digest", b"somebody:first-secret")).await;
    client
        .add_auth("digest", b"somebody:second-secret")
        .await
        .unwrap();
    client
        .create("/a", b"confidential", CreateMode::Persistent)
        .await
        .unwrap();
    client.get_data("/a", None).await.unwrap();
    proxy.cut(Cut::Reset);
    eventually("the next connection", async || proxy.accepted() == 2).await;
    until_connected(&client).await;
    let refused: Error = client.set_data("/a", b"confidential", 7).await.unwrap_err();
    let session = client.session_id().to_string();
    let password = client.session_password();
    let shown = format!("{client:?} {refused:?} {refused} {password:?}");
    client.close().await.unwrap();

    let text = log.text() + &shown;
    let client_lines = text.lines().filter(|line| line.contains("zk_client"));
    assert!(client_lines.clone().count() > 5, "{text}");
    assert!(
        client_lines.clone().any(|line| line.contains(&session)),
        "{text}"
    );
    let bytes = password.as_bytes();
    let listed = format!("{bytes:?}");
    for secret in [
        "first-secret",
        "second-secret",
        "confidential",
        listed.trim_matches(['[', ']']),
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}
