//! A line between client and server that can be cut, as networks do.

use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zk_proto::ConnectString;

/// Carries connections to the first server of a connect string, until it is cut.
/// Dropping it cuts it for good.
#[derive(Debug)]
pub struct Line {
    connect_string: String,
    is_up: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to the first of these servers, by way of a free loopback port.
    ///
    /// # Errors
    ///
    /// The connect string is invalid, or there is no port.
    #[expect(
        clippy::disallowed_methods,
        reason = "a network of our own, outside the client's"
    )]
    pub async fn to(servers: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let servers: ConnectString = servers.parse()?;
        let far = servers.hosts.first().ok_or("no server")?.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let near = listener.local_addr()?;
        let connect_string = format!("{near}{}", servers.chroot.as_str());
        let is_up = watch::Sender::new(true);
        let task = tokio::spawn(listen(listener, far, is_up.subscribe()));
        Ok(Self {
            connect_string,
            is_up,
            task,
        })
    }

    /// Where a client connects to be at the other end, chroot included.
    pub fn connect_string(&self) -> &str {
        &self.connect_string
    }

    /// Closes every connection, and new ones at once.
    pub fn cut(&self) {
        self.is_up.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.is_up.send_replace(true);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a network of our own, outside the client's"
)]
async fn listen(listener: TcpListener, far: String, is_up: watch::Receiver<bool>) {
    while let Ok((near, _)) = listener.accept().await {
        if *is_up.borrow() {
            tokio::spawn(carry(near, far.clone(), is_up.clone()));
        }
    }
}

/// Carries one connection until either end closes it or the line is cut.
async fn carry(near: TcpStream, far: String, mut is_up: watch::Receiver<bool>) {
    let carried = pass(near, far);
    let cut = is_up.wait_for(|is_up| !is_up);
    tokio::select! {
        // An end that closed or failed closes the other one.
        _ = carried => {}
        _ = cut => {}
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a network of our own, outside the client's"
)]
async fn pass(mut near: TcpStream, far: String) -> io::Result<()> {
    let mut far = TcpStream::connect(far).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}
