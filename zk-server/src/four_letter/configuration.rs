//! `conf` and `dirs`.

use std::fmt::Write as _;
use std::path::Path;

use crate::net::{Serving, Shell};

pub(super) fn conf(serving: &Serving, shell: &Shell) -> String {
    let config = &shell.config;
    let port = serving.client_port;
    let show = |dir: &Option<_>| dir.as_deref().map(Path::display).map(|dir| dir.to_string());
    let none = || "<NA>".to_owned();
    let data_dir = show(&config.data_dir).unwrap_or_else(none);
    let data_log_dir = show(&config.data_log_dir).unwrap_or_else(none);
    let mut text = String::new();
    // The sizes are those of what this server stores, which is nothing yet.
    let _ = write!(
        text,
        "clientPort={port}\n\
         secureClientPort=-1\n\
         dataDir={data_dir}\n\
         dataDirSize=0\n\
         dataLogDir={data_log_dir}\n\
         dataLogSize=0\n\
         tickTime={}\n\
         maxClientCnxns={}\n\
         minSessionTimeout={}\n\
         maxSessionTimeout={}\n\
         clientPortListenBacklog={}\n\
         serverId=0\n",
        config.tick_time.as_millis(),
        config.max_client_cnxns,
        config.min_session_timeout.as_millis(),
        config.max_session_timeout.as_millis(),
        config.listen_backlog,
    );
    text
}

pub(super) fn dirs() -> String {
    "datadir_size: 0\nlogdir_size: 0\n".to_owned()
}
