//! Ports, and what stands in a peer's `zoo.cfg`.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// What every peer is told. Ticks of 200 ms: ten seconds to join and five to fall behind,
/// since a loaded machine must not break a quorum; sessions of up to a minute. Few
/// transactions between snapshots and small log files, so that both matter in a short run.
const SETTINGS: &[(&str, &str)] = &[
    ("tickTime", "200"),
    ("initLimit", "50"),
    ("syncLimit", "25"),
    ("maxSessionTimeout", "60000"),
    ("maxClientCnxns", "0"),
    ("extendedTypesEnabled", "true"),
    ("4lw.commands.whitelist", "*"),
    ("admin.enableServer", "false"),
    ("snapCount", "2000"),
    ("preAllocSize", "1024"),
];

/// Where a peer listens: for clients on `127.0.0.1`, for other peers on an address of its
/// own, since all have the same port for observers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) quorum: u16,
    pub(super) election: u16,
}

impl Ports {
    /// Free ones for so many peers. All are held until all are chosen; somebody else may
    /// take one before its peer does.
    pub(super) fn choose(peers: usize) -> io::Result<Vec<Self>> {
        let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listeners: Vec<_> = (0..3 * peers).map(bind).collect::<io::Result<_>>()?;
        let ports = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()));
        let ports: Vec<_> = ports.collect::<io::Result<_>>()?;
        let of_peer = |ports: &[u16]| Self {
            client: ports[0],
            quorum: ports[1],
            election: ports[2],
        };
        Ok(ports.chunks_exact(3).map(of_peer).collect())
    }
}

/// A free port for all observer masters.
pub(super) fn observer_master_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The `zoo.cfg` of any of these peers, of which the first so many vote; which one it is, is
/// said by `myid` in `data_dir`. Later settings replace earlier ones.
pub(super) fn zoo_cfg(
    data_dir: &Path,
    peers: &[Ports],
    voters: usize,
    settings: &[(String, String)],
) -> String {
    let mut text = format!("dataDir={}\n", data_dir.display());
    let own = settings.iter().map(|(key, value)| (&**key, &**value));
    for (key, value) in SETTINGS.iter().copied().chain(own) {
        text += &format!("{key}={value}\n");
    }
    for (at, ports) in peers.iter().enumerate() {
        let id = at + 1;
        let Ports {
            client,
            quorum,
            election,
        } = ports;
        let role = if id <= voters {
            "participant"
        } else {
            "observer"
        };
        text +=
            &format!("server.{id}=127.0.0.{id}:{quorum}:{election}:{role};127.0.0.1:{client}\n");
    }
    text
}
