//! What both servers are told, in the words of `zoo.cfg`.

use std::fmt::Write;

/// One server's configuration; the same for both.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Keys that differ between the two kinds of run.
    kind: &'static [(&'static str, &'static str)],
}

/// The shortest session timeout bounds how long an expiry takes, and how long
/// the run may dawdle between opening such a session and closing it.
const COMMON: &[(&str, &str)] = &[
    ("tickTime", "200"),
    ("minSessionTimeout", "2000"),
    ("maxSessionTimeout", "60000"),
    ("maxClientCnxns", "0"),
];

/// Everything that can be turned on.
const FULL: &[(&str, &str)] = &[("extendedTypesEnabled", "true"), ("enforceQuota", "true")];

/// What is off by default left off, and the one refusal that comes first lifted.
const PLAIN: &[(&str, &str)] = &[
    ("extendedTypesEnabled", "false"),
    ("enforceQuota", "false"),
    ("reconfigEnabled", "true"),
];

/// What the model knows: quotas are not enforced, as by default.
const MODELLED: &[(&str, &str)] = &[("extendedTypesEnabled", "true"), ("enforceQuota", "false")];

/// The same without extended types.
const MODELLED_PLAIN: &[(&str, &str)] =
    &[("extendedTypesEnabled", "false"), ("enforceQuota", "false")];

/// One run in so many is plain.
const PLAIN_EVERY: u64 = 3;

/// Often enough that a run does not wait for long, seldom enough that Apache
/// does not ask twice for the same deletion before the first is done. A property
/// of the JVM's, not a key, for Apache.
const REAPER: (&str, &str) = ("znode.container.checkIntervalMs", "400");

/// `super:admin`, as `scripts/apache.sh` has it.
const SUPER_DIGEST: (&str, &str) = (
    "DigestAuthenticationProvider.superDigest",
    "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=",
);

impl Configuration {
    /// That of the run a seed names.
    pub const fn of_seed(seed: u64) -> Self {
        Self {
            kind: if seed.is_multiple_of(PLAIN_EVERY) {
                PLAIN
            } else {
                FULL
            },
        }
    }

    /// The same for a run with the model in it.
    pub const fn modelled(seed: u64) -> Self {
        Self {
            kind: if seed.is_multiple_of(PLAIN_EVERY) {
                MODELLED_PLAIN
            } else {
                MODELLED
            },
        }
    }

    /// Whether znodes may have a time to live.
    pub(crate) fn has_extended_types(&self) -> bool {
        self.keys()
            .any(|key| *key == ("extendedTypesEnabled", "true"))
    }

    fn keys(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        COMMON.iter().chain(self.kind)
    }

    /// Arguments for `scripts/apache.sh`.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        self.keys()
            .map(|(key, value)| format!("{key}={value}"))
            .chain([format!("-D{}={}", REAPER.0, REAPER.1)])
    }

    /// The text of a `zoo.cfg` for the bundled server, on a free loopback port.
    pub fn zoo_cfg(&self) -> String {
        let mut text = String::from(
            "dataDir=unused\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n",
        );
        for (key, value) in self.keys().chain([&REAPER, &SUPER_DIGEST]) {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }
}
