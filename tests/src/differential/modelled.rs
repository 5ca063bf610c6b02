//! The simulator's model as a server, so that it can be compared with others.
//!
//! It answers by the book and nothing else: there are no four-letter words, no limits, and
//! its session timeouts and its reaper run by a ticker.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures stand outside the seam, on real sockets"
)]

mod host;

use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::BytesMut;
use zk_proto::{DEFAULT_FRAME_LIMIT, FrameDecoder};
use zk_sim::model::{Conn, Settings};

use super::Configuration;
use host::Host;

/// How often sessions and the reaper are looked after.
const TICK: Duration = Duration::from_millis(50);

/// A running model, stopped when dropped.
#[derive(Debug)]
pub struct Modelled {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    host: Mutex<Host>,
    is_over: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Modelled {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub fn start(configuration: &Configuration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let settings = Settings {
            extended_types: configuration.has_extended_types(),
            super_digest: Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".to_owned()),
            ..Settings::default()
        };
        let shared = Arc::new(Shared {
            host: Mutex::new(Host::new(settings)),
            is_over: AtomicBool::new(false),
        });
        let (accepting, ticking) = (Arc::clone(&shared), Arc::clone(&shared));
        Ok(Self {
            threads: vec![
                thread::spawn(move || accept(&listener, &accepting)),
                thread::spawn(move || tick(&ticking)),
            ],
            address,
            shared,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Modelled {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.lock().close_all();
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut readers = Vec::new();
    for stream in listener.incoming() {
        if shared.is_over() {
            break;
        }
        let Ok(stream) = stream else { continue };
        let Some(conn) = shared.lock().accept(&stream) else {
            continue;
        };
        let shared = Arc::clone(shared);
        readers.push(thread::spawn(move || serve(stream, conn, &shared)));
    }
    for reader in readers {
        let _ = reader.join();
    }
}

/// Reads frames until either side has had enough.
fn serve(mut stream: TcpStream, conn: Conn, shared: &Shared) {
    let decoder = FrameDecoder::new(DEFAULT_FRAME_LIMIT);
    let mut input = BytesMut::new();
    let mut room = [0; 64 * 1024];
    'reading: while let Ok(len) = stream.read(&mut room) {
        if len == 0 {
            break;
        }
        input.extend_from_slice(&room[..len]);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(frame)) if shared.lock().handle_frame(conn, &frame) => {}
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => break 'reading,
            }
        }
    }
    shared.lock().forget(conn);
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

fn tick(shared: &Shared) {
    while !shared.is_over() {
        thread::sleep(TICK);
        shared.lock().handle_tick();
    }
}
