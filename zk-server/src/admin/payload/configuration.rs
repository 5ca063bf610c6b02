//! `configuration`, `dirs` and `environment`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::four_letter::{environment as entries, shown_dir};
use crate::net::{Serving, Shell};
use crate::storage::DirSizes;

#[derive(Serialize)]
pub(in crate::admin) struct Configuration {
    client_port: u16,
    data_dir: String,
    data_log_dir: String,
    tick_time: u128,
    max_client_cnxns: u32,
    min_session_timeout: u128,
    max_session_timeout: u128,
    server_id: i64,
    client_port_listen_backlog: i32,
}

pub(in crate::admin) fn configuration(serving: &Serving, shell: &Shell) -> Configuration {
    let config = &shell.config;
    Configuration {
        client_port: serving.client_port,
        data_dir: shown_dir(config.data_dir.as_deref()),
        data_log_dir: shown_dir(config.data_log_dir.as_deref()),
        tick_time: config.tick_time.as_millis(),
        max_client_cnxns: config.max_client_cnxns,
        min_session_timeout: config.min_session_timeout.as_millis(),
        max_session_timeout: config.max_session_timeout.as_millis(),
        server_id: serving.quorum.as_ref().map_or(0, |view| view.id().0),
        client_port_listen_backlog: config.listen_backlog,
    }
}

#[derive(Serialize)]
pub(in crate::admin) struct Dirs {
    datadir_size: u64,
    logdir_size: u64,
}

pub(in crate::admin) fn dirs(sizes: DirSizes) -> Dirs {
    Dirs {
        datadir_size: sizes.data_dir,
        logdir_size: sizes.log_dir,
    }
}

pub(in crate::admin) fn environment() -> BTreeMap<&'static str, String> {
    entries().into()
}
