//! Apache's keys that this server accepts without acting on them.

use super::value::{boolean, integer, yes_or_no};
use crate::error::ConfigError;

/// What a value has to look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bool,
    YesNo,
    Int,
    Text,
}

impl Kind {
    /// A value that Apache would refuse is refused here too.
    pub(super) fn check(self, key: &str, value: &str) -> Result<(), ConfigError> {
        match self {
            Self::Bool => boolean(key, value).map(drop),
            Self::YesNo => yes_or_no(key, value).map(drop),
            Self::Int => integer(key, value, i64::MIN..=i64::MAX).map(drop),
            Self::Text => Ok(()),
        }
    }
}

/// A key that does nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) kind: Kind,
    /// `None` where a standalone Apache server would not act on it either.
    pub(super) why_no_effect: Option<&'static str>,
}

const STORAGE: Option<&str> = Some("logs and snapshots are written as Apache's defaults have it");
const TLS: Option<&str> = Some("TLS is not supported yet");
const ADMIN: Option<&str> = Some("the admin server is not supported yet");
const METRICS: Option<&str> = Some("metrics providers are not supported yet");
const AUTH: Option<&str> = Some("this kind of authentication is not supported yet");
const OTHER: Option<&str> = Some("not supported yet");
const JAVA: Option<&str> = Some("it is about the Java implementation");
const ENSEMBLE: Option<&str> = None;

/// Finds a key by its name, or by the family it belongs to.
pub(super) fn find(key: &str) -> Option<Known> {
    let exact = KEYS.iter().find(|(name, ..)| *name == key);
    let family = || FAMILIES.iter().find(|(prefix, ..)| key.starts_with(prefix));
    let (_, kind, why_no_effect) = exact.or_else(family)?;
    Some(Known {
        kind: *kind,
        why_no_effect: *why_no_effect,
    })
}

type Row = (&'static str, Kind, Option<&'static str>);

const KEYS: &[Row] = &[
    ("initLimit", Kind::Int, ENSEMBLE),
    ("syncLimit", Kind::Int, ENSEMBLE),
    ("connectToLearnerMasterLimit", Kind::Int, ENSEMBLE),
    ("electionAlg", Kind::Int, ENSEMBLE),
    ("peerType", Kind::Text, ENSEMBLE),
    ("localSessionsEnabled", Kind::Bool, ENSEMBLE),
    ("localSessionsUpgradingEnabled", Kind::Bool, ENSEMBLE),
    ("syncEnabled", Kind::Bool, ENSEMBLE),
    ("observerMasterPort", Kind::Int, ENSEMBLE),
    ("leaderServes", Kind::YesNo, ENSEMBLE),
    ("quorumListenOnAllIPs", Kind::Bool, ENSEMBLE),
    ("cnxTimeout", Kind::Int, ENSEMBLE),
    ("commitLogCount", Kind::Int, ENSEMBLE),
    ("sslQuorum", Kind::Bool, ENSEMBLE),
    ("portUnification", Kind::Bool, ENSEMBLE),
    ("sslQuorumReloadCertFiles", Kind::Bool, ENSEMBLE),
    ("oraclePath", Kind::Text, ENSEMBLE),
    ("flushDelay", Kind::Int, STORAGE),
    ("maxWriteQueuePollTime", Kind::Int, STORAGE),
    ("maxBatchSize", Kind::Int, STORAGE),
    ("digest.enabled", Kind::Bool, STORAGE),
    ("closeSessionTxn.enabled", Kind::Bool, STORAGE),
    ("serializeLastProcessedZxid.enabled", Kind::Bool, STORAGE),
    ("datadir.autocreate", Kind::Bool, STORAGE),
    ("secureClientPort", Kind::Int, TLS),
    ("secureClientPortAddress", Kind::Text, TLS),
    ("client.portUnification", Kind::Bool, TLS),
    ("superUser", Kind::Text, AUTH),
    ("allowSaslFailedClients", Kind::Bool, AUTH),
    ("requireClientAuthScheme", Kind::Text, AUTH),
    ("serverCnxnFactory", Kind::Text, JAVA),
    ("watchManagerName", Kind::Text, JAVA),
    ("jute.maxbuffer.extrasize", Kind::Int, JAVA),
    ("maxResponseCacheSize", Kind::Int, JAVA),
    ("maxGetChildrenResponseCacheSize", Kind::Int, JAVA),
    ("emulate353TTLNodes", Kind::Bool, OTHER),
    ("enableEagerACLCheck", Kind::Bool, OTHER),
    ("clientTcpKeepAlive", Kind::Bool, OTHER),
    ("audit.enable", Kind::Bool, OTHER),
    ("throttled_op_wait_time", Kind::Int, OTHER),
    ("largeRequestThreshold", Kind::Int, OTHER),
    ("largeRequestMaxBytes", Kind::Int, OTHER),
];

const FAMILIES: &[Row] = &[
    ("quorum.", Kind::Text, ENSEMBLE),
    ("multiAddress.", Kind::Text, ENSEMBLE),
    ("ssl.quorum.", Kind::Text, ENSEMBLE),
    ("snapshot.", Kind::Text, STORAGE),
    ("ssl.", Kind::Text, TLS),
    ("admin.", Kind::Text, ADMIN),
    ("metricsProvider.", Kind::Text, METRICS),
    ("authProvider.", Kind::Text, AUTH),
    ("superUser.", Kind::Text, AUTH),
    ("X509AuthenticationProvider.", Kind::Text, AUTH),
    ("kerberos.", Kind::Text, AUTH),
    ("jvm.pause.", Kind::Text, JAVA),
    ("nio.", Kind::Int, JAVA),
    ("netty.", Kind::Text, JAVA),
    ("request_throttle_", Kind::Text, OTHER),
    ("connection_throttle_", Kind::Text, OTHER),
];
