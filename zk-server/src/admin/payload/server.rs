//! `server_stats`, `stats` and `is_read_only`.

use serde::Serialize;

use super::connections::{Brief, Connections, brief};
use super::monitor::mean;
use crate::four_letter::{VERSION, leading, mode};
use crate::net::{Serving, Shell};
use crate::storage::DirSizes;

#[derive(Serialize)]
pub(in crate::admin) struct ServerStats {
    version: &'static str,
    read_only: bool,
    server_stats: Statistics,
    client_response: BufferStats,
    /// A leader's.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal_stats: Option<BufferStats>,
    node_count: usize,
}

/// Those of Apache's that are counted here.
#[derive(Serialize)]
struct Statistics {
    packets_sent: u64,
    packets_received: u64,
    client_response_stats: BufferStats,
    server_state: &'static str,
    outstanding_requests: u32,
    min_latency: u64,
    avg_latency: f64,
    max_latency: u64,
    data_dir_size: u64,
    log_dir_size: u64,
    last_processed_zxid: i64,
    num_alive_client_connections: usize,
    uptime: u128,
    provider_null: bool,
}

/// Sizes in bytes; −1 is "none yet".
#[derive(Clone, Copy, Serialize)]
struct BufferStats {
    last_buffer_size: i64,
    min_buffer_size: i64,
    max_buffer_size: i64,
}

impl BufferStats {
    fn new([last, min, max]: [i64; 3]) -> Self {
        Self {
            last_buffer_size: last,
            min_buffer_size: min,
            max_buffer_size: max,
        }
    }
}

pub(in crate::admin) fn server_stats(
    serving: &Serving,
    shell: &Shell,
    sizes: DirSizes,
) -> ServerStats {
    let (stats, zks) = (&serving.stats, &serving.zks);
    let responses = BufferStats::new(stats.last_min_max_response());
    let proposals = leading(serving).map(|leading| leading.proposals.last_min_max());
    ServerStats {
        version: VERSION,
        read_only: false,
        server_stats: Statistics {
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            client_response_stats: responses,
            server_state: mode(serving),
            // Requests are answered as they are handled.
            outstanding_requests: 0,
            min_latency: stats.latency.min(),
            avg_latency: mean(stats.latency.mean_in_ten_thousandths()),
            max_latency: stats.latency.max(),
            data_dir_size: sizes.data_dir,
            log_dir_size: sizes.log_dir,
            last_processed_zxid: zks.last_zxid().0,
            num_alive_client_connections: serving.cnxns.len(),
            uptime: shell.env.now().since(serving.started).as_millis(),
            provider_null: false,
        },
        client_response: responses,
        proposal_stats: proposals.map(BufferStats::new),
        node_count: zks.node_count(),
    }
}

/// `server_stats` and connections.
#[derive(Serialize)]
pub(in crate::admin) struct Stats {
    #[serde(flatten)]
    server: ServerStats,
    #[serde(flatten)]
    connections: Connections<Brief>,
}

pub(in crate::admin) fn stats(serving: &Serving, shell: &Shell, sizes: DirSizes) -> Stats {
    Stats {
        server: server_stats(serving, shell, sizes),
        connections: brief(serving, shell),
    }
}

#[derive(Serialize)]
pub(in crate::admin) struct ReadOnly {
    read_only: bool,
}

/// There is no read-only mode.
pub(in crate::admin) fn is_read_only() -> ReadOnly {
    ReadOnly { read_only: false }
}
