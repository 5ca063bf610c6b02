//! `host[:port][,host[:port]…][/chroot]`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::path::{Chroot, PathError};

/// ZooKeeper's client port.
const DEFAULT_PORT: u16 = 2181;

/// One server of a connect string. The host is a name or an address, an IPv6
/// address without its brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// Client port.
    pub port: u16,
}

/// Servers and chroot, as a user writes them.
///
/// ```
/// use zk_proto::ConnectString;
/// let parsed: ConnectString = "10.0.0.1,[::1]:2182/app".parse()?;
/// assert_eq!(parsed.hosts[0].port, 2181);
/// assert_eq!(parsed.hosts[1].host, "::1");
/// assert_eq!(parsed.chroot.as_str(), "/app");
/// # Ok::<(), zk_proto::ConnectStringError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    /// The servers, in the order given.
    pub hosts: Vec<HostPort>,
    /// The part from the first slash on.
    pub chroot: Chroot,
}

/// Why a connect string cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectStringError {
    /// There is no host in it.
    #[error("connect string {text:?} names no host")]
    NoHost {
        /// The string as given.
        text: String,
    },
    /// One of the hosts is malformed.
    #[error("connect string has a bad host {host:?}: {reason}")]
    BadHost {
        /// The entry between two commas.
        host: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The chroot is not a valid path.
    #[error("connect string has a bad chroot: {0}")]
    BadChroot(#[from] PathError),
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let (hosts, chroot) = match text.find('/') {
            Some(slash) => (&text[..slash], Chroot::new(text[slash..].trim_end())?),
            None => (text, Chroot::none()),
        };
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(ConnectStringError::NoHost {
                text: text.to_owned(),
            });
        }
        Ok(Self { hosts, chroot })
    }
}

impl FromStr for HostPort {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        split_host(text).map_err(|reason| ConnectStringError::BadHost {
            host: text.to_owned(),
            reason,
        })
    }
}

fn split_host(text: &str) -> Result<HostPort, &'static str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed
            .split_once(']')
            .ok_or("the bracket is not closed")?;
        address
            .parse::<Ipv6Addr>()
            .map_err(|_| "brackets are for ipv6 addresses")?;
        return match rest.strip_prefix(':') {
            None if rest.is_empty() => host_port(address, ""),
            None => Err("text after the bracket is not a port"),
            Some("") => Err("the port after the bracket is empty"),
            Some(port) => host_port(address, port),
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Err("an ipv6 address needs brackets"),
        Some((host, port)) => host_port(host, port),
        None => host_port(text, ""),
    }
}

fn host_port(host: &str, port: &str) -> Result<HostPort, &'static str> {
    if host.is_empty() {
        return Err("the host is empty");
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the host has white space in it");
    }
    let port = match port {
        "" => DEFAULT_PORT,
        port => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("the port is not a number from 1 to 65535")?,
    };
    Ok(HostPort {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, host) in self.hosts.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            host.fmt(f)?;
        }
        match self.chroot.as_str() {
            "/" => Ok(()),
            chroot => f.write_str(chroot),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<ConnectString, ConnectStringError> {
        text.parse()
    }

    #[test]
    fn hosts_ports_and_chroot() {
        let parsed = parse(" a , b:1,,[::1]:2,[fe80::1],c: /x/y").unwrap();
        let shown: Vec<_> = parsed.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["a:2181", "b:1", "[::1]:2", "[fe80::1]:2181", "c:2181"]
        );
        assert_eq!(parsed.chroot.as_str(), "/x/y");
        assert_eq!(parse("a/").unwrap().chroot, Chroot::none());
    }

    #[test]
    fn errors_name_the_host() {
        for bad in [
            "",
            " ",
            ",",
            "/x",
            "::1",
            "fe80::1:2181",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[a]:1",
            "a:0",
            "a:x",
            "a:65536",
            ":1",
            "a b",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        let text = parse("ok,a:x").unwrap_err().to_string();
        assert_eq!(
            text,
            "connect string has a bad host \"a:x\": the port is not a number from 1 to 65535"
        );
        assert!(
            parse("a/x/")
                .unwrap_err()
                .to_string()
                .contains("ends with '/'")
        );
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer_and_what_parses_round_trips(text in any::<String>()) {
            if let Ok(parsed) = parse(&text) {
                prop_assert_eq!(parse(&parsed.to_string()), Ok(parsed));
            }
        }

        #[test]
        fn well_formed_strings_round_trip(text in "[a-z]{1,5}(:[1-9][0-9]{0,3})?(,[a-z]{1,5}(:[1-9][0-9]{0,3})?){0,3}(/[a-z]{1,4}){0,2}") {
            let parsed = parse(&text).unwrap();
            prop_assert_eq!(parse(&parsed.to_string()), Ok(parsed));
        }
    }
}
