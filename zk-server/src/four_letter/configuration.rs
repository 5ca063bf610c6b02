//! `conf` and `dirs`.

use std::fmt::Write as _;
use std::path::Path;

use crate::net::{Serving, Shell};
use crate::quorum::{LearnerType, QuorumView};
use crate::storage::{DirSizes, VERSION_DIR};

pub(super) fn conf(serving: &Serving, sizes: DirSizes, shell: &Shell) -> String {
    let (config, view) = (&shell.config, serving.quorum.as_ref());
    let port = serving.client_port;
    let secure_port = serving.secure_client_port.map_or(-1, i32::from);
    let data_dir = shown_dir(config.data_dir.as_deref());
    let data_log_dir = shown_dir(config.data_log_dir.as_deref());
    let mut text = String::new();
    let _ = write!(
        text,
        "clientPort={port}\n\
         secureClientPort={secure_port}\n\
         dataDir={data_dir}\n\
         dataDirSize={}\n\
         dataLogDir={data_log_dir}\n\
         dataLogSize={}\n\
         tickTime={}\n\
         maxClientCnxns={}\n\
         minSessionTimeout={}\n\
         maxSessionTimeout={}\n\
         clientPortListenBacklog={}\n\
         serverId={}\n",
        sizes.data_dir,
        sizes.log_dir,
        config.tick_time.as_millis(),
        config.max_client_cnxns,
        config.min_session_timeout.as_millis(),
        config.max_session_timeout.as_millis(),
        config.listen_backlog,
        view.map_or(0, |view| view.id().0),
    );
    if let Some(view) = view {
        write_ensemble(&mut text, view);
    }
    text
}

/// Where the files of a configured directory are, as Apache shows it.
pub(crate) fn shown_dir(dir: Option<&Path>) -> String {
    dir.map_or_else(
        || "<NA>".to_owned(),
        |dir| dir.join(VERSION_DIR).display().to_string(),
    )
}

/// What a member's configuration has beyond that.
fn write_ensemble(text: &mut String, view: &QuorumView) {
    let settings = &view.config.settings;
    let own = view.verifier.member(view.id());
    let addr = own.and_then(|own| own.addrs.first());
    let peer_type = match own.map_or(view.config.learner_type, |own| own.learner_type) {
        LearnerType::Participant => 0,
        LearnerType::Observer => 1,
    };
    let _ = write!(
        text,
        "initLimit={}\n\
         syncLimit={}\n\
         electionAlg=3\n\
         electionPort={}\n\
         quorumPort={}\n\
         peerType={peer_type}\n\
         membership: \n\
         {}\n",
        settings.init_limit,
        settings.sync_limit,
        addr.map_or(0, |addr| addr.election_port),
        addr.map_or(0, |addr| addr.quorum_port),
        view.verifier.to_text(),
    );
}

pub(super) fn dirs(sizes: DirSizes) -> String {
    let DirSizes { data_dir, log_dir } = sizes;
    format!("datadir_size: {data_dir}\nlogdir_size: {log_dir}\n")
}
