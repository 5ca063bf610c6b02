//! Apache's keys that this server accepts without acting on them.

use super::admin::IS_BUILT_IN;
use super::value::{boolean, integer};
use crate::error::ConfigError;

/// What a value has to look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bool,
    Int,
    Text,
}

impl Kind {
    /// A value that Apache would refuse is refused here too.
    pub(super) fn check(self, key: &str, value: &str) -> Result<(), ConfigError> {
        match self {
            Self::Bool => boolean(key, value).map(drop),
            Self::Int => integer(key, value, i64::MIN..=i64::MAX).map(drop),
            Self::Text => Ok(()),
        }
    }
}

/// A key that does nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) kind: Kind,
    pub(super) effect: Effect,
}

/// Who would expect otherwise, and why it is not so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Everybody.
    None(&'static str),
    /// A member of an ensemble alone: Apache's standalone server would not act on it either.
    NoneInEnsemble(&'static str),
}

const STORAGE: Effect = Effect::None("logs and snapshots are written as Apache's defaults have it");
const TLS: Effect = Effect::None(if cfg!(feature = "tls") {
    "this part of TLS is not supported yet"
} else {
    "this build has no TLS"
});
const ADMIN: Effect = Effect::None(if IS_BUILT_IN {
    "the admin server speaks plain HTTP and has no such setting"
} else {
    NOT_BUILT_IN
});
const METRICS: Effect = Effect::None(if IS_BUILT_IN {
    "metrics are served as Prometheus' provider does, or not at all"
} else {
    NOT_BUILT_IN
});
const NOT_BUILT_IN: &str = "this build has no admin server";
const AUTH: Effect = Effect::None("this kind of authentication is not supported yet");
const NOT_EVEN_APACHE: Effect = Effect::None(
    "no server acts on it any more; enforce.auth.enabled and enforce.auth.schemes do what it promised",
);
const OTHER: Effect = Effect::None("not supported yet");
const JAVA: Effect = Effect::None("it is about the Java implementation");
const ENSEMBLE: Effect = Effect::NoneInEnsemble("members do as Apache's defaults have it");
const ENSEMBLE_TLS: Effect = Effect::NoneInEnsemble("TLS between servers is not supported yet");
const ENSEMBLE_AUTH: Effect = Effect::NoneInEnsemble("SASL between servers is not supported yet");
const ENSEMBLE_JAVA: Effect = Effect::NoneInEnsemble("it is about the Java implementation");

/// Finds a key by its name, or by the family it belongs to.
pub(super) fn find(key: &str) -> Option<Known> {
    let exact = KEYS.iter().find(|(name, ..)| *name == key);
    let family = || FAMILIES.iter().find(|(prefix, ..)| key.starts_with(prefix));
    let (_, kind, effect) = exact.or_else(family)?;
    Some(Known {
        kind: *kind,
        effect: *effect,
    })
}

type Row = (&'static str, Kind, Effect);

const KEYS: &[Row] = &[
    ("commitLogCount", Kind::Int, ENSEMBLE),
    ("snapshotSizeFactor", Kind::Text, ENSEMBLE),
    ("forceSnapshotSync", Kind::Bool, ENSEMBLE),
    ("leaderConnectDelayDuringRetryMs", Kind::Int, ENSEMBLE),
    ("tcpKeepAlive", Kind::Bool, ENSEMBLE),
    ("follower.nodelay", Kind::Bool, ENSEMBLE),
    ("sslQuorumReloadCertFiles", Kind::Bool, ENSEMBLE_TLS),
    ("quorum.cnxn.threads.size", Kind::Int, ENSEMBLE_JAVA),
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
    ("client.certReload", Kind::Bool, TLS),
    ("requireClientAuthScheme", Kind::Text, NOT_EVEN_APACHE),
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
    ("quorum.", Kind::Text, ENSEMBLE_AUTH),
    ("multiAddress.", Kind::Text, ENSEMBLE),
    ("leader.", Kind::Text, ENSEMBLE),
    ("observer.", Kind::Text, ENSEMBLE),
    ("observerMaster.", Kind::Text, ENSEMBLE_JAVA),
    ("learner.", Kind::Text, ENSEMBLE_JAVA),
    ("ssl.quorum.", Kind::Text, ENSEMBLE_TLS),
    ("snapshot.", Kind::Text, STORAGE),
    ("ssl.", Kind::Text, TLS),
    ("admin.", Kind::Text, ADMIN),
    ("metricsProvider.", Kind::Text, METRICS),
    ("authProvider.", Kind::Text, AUTH),
    ("X509AuthenticationProvider.", Kind::Text, AUTH),
    ("kerberos.", Kind::Text, AUTH),
    ("jvm.pause.", Kind::Text, JAVA),
    ("nio.", Kind::Int, JAVA),
    ("netty.", Kind::Text, JAVA),
    ("request_throttle_", Kind::Text, OTHER),
    ("connection_throttle_", Kind::Text, OTHER),
];
