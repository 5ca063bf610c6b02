//! SASL for clients.

use std::collections::BTreeMap;

use zk_proto::sasl::Secret;

/// Who may come by SASL, and what that is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SaslConfig {
    /// The users of DIGEST-MD5; without them there is no SASL.
    pub(crate) users: Option<BTreeMap<String, Secret>>,
    /// `SASLAuthenticationProvider.superPassword`, of the user `super`.
    pub(crate) super_password: Option<Secret>,
    /// `superUser`: users who may do everything.
    pub(crate) super_users: Vec<String>,
    /// Whether ACLs may name users of SASL, `authProvider.…`.
    pub(crate) has_acls: bool,
    /// `allowSaslFailedClients`.
    pub(crate) allow_failed_clients: bool,
    /// `letAnySaslUserDoX`: the id that in an ACL means everybody who came by SASL.
    pub(crate) anybody: Option<String>,
}

impl SaslConfig {
    /// Whether an ACL's `id` speaks of `user`. Who came as `super` is meant by all.
    pub(crate) fn matches(&self, user: &str, id: &str) -> bool {
        user == "super" || user == id || self.anybody.as_deref() == Some(id)
    }
}
