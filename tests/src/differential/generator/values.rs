//! Data, versions, ACLs, credentials.

use std::borrow::Cow;

use zk_proto::data::digest_id;
use zk_proto::record::{AuthPacket, Credential};
use zk_proto::{Acl, AclId, Perms};

use super::{Generator, View};

type Data = Option<Cow<'static, [u8]>>;

const USERS: [(&str, &str); 2] = [("ann", "secret"), ("bob", "word")];

/// The servers are configured to know this one as super user.
const SUPER: &[u8] = b"super:admin";

#[derive(Clone, Copy, Debug)]
enum AclKind {
    Open,
    ReadOnly,
    ReadersMayCreate,
    Creator,
    User,
    UserMayReadAll,
    Address,
    Several,
    Odd,
    Missing,
}

const ACLS: [(usize, AclKind); 10] = [
    (72, AclKind::Open),
    (3, AclKind::ReadOnly),
    (3, AclKind::ReadersMayCreate),
    (4, AclKind::Creator),
    (4, AclKind::User),
    (3, AclKind::UserMayReadAll),
    (3, AclKind::Address),
    (3, AclKind::Several),
    (4, AclKind::Odd),
    (1, AclKind::Missing),
];

/// Ids of schemes that servers check, most of them wrong.
const ODD_IDS: [(&str, &str); 23] = [
    ("world", "somebody"),
    ("world", ""),
    ("auth", "anything"),
    ("digest", "ann"),
    ("digest", "ann:"),
    ("digest", ":hash"),
    ("digest", "a:b:c"),
    ("digest", "a:b::"),
    ("digest", ""),
    ("ip", "127.0.0.1/8"),
    ("ip", "127.0.0.1/33"),
    ("ip", "127.0.0.1/-1"),
    ("ip", "127.0.0.1/x"),
    ("ip", "127.0.0"),
    ("ip", "127.0.0.256"),
    ("ip", "::1"),
    ("ip", "::/0"),
    ("ip", "fe80::1::2"),
    ("ip", "localhost"),
    ("super", ""),
    ("sasl", "ann"),
    ("x509", "CN=ann"),
    ("", ""),
];

const ADDRESSES: [&str; 6] = [
    "127.0.0.1",
    "127.0.0.1/32",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "127.0.0.2",
];

impl Generator {
    pub(super) fn data(&mut self) -> Data {
        let len = match self.dice.below(1_000) {
            0..60 => return None,
            60..140 => 0,
            140..900 => self.dice.between(1, 20),
            900..985 => self.dice.between(100, 3_000),
            985..999 => self.dice.between(10_000, 70_000),
            _ => 1_000_000,
        };
        Some(self.dice.bytes(len).into())
    }

    /// A version to expect: right, any, or wrong.
    pub(super) fn version(&mut self, path: &str, view: &View<'_>) -> i32 {
        let current = view.model.get(path).map_or(0, |node| node.version);
        self.expected(current)
    }

    pub(super) fn acl_version(&mut self, path: &str, view: &View<'_>) -> i32 {
        let current = view.model.get(path).map_or(0, |node| node.aversion);
        self.expected(current)
    }

    fn expected(&mut self, current: i32) -> i32 {
        match self.dice.below(20) {
            0..9 => -1,
            9..16 => current,
            16 => current.wrapping_add(1),
            17 => current.wrapping_sub(1),
            18 => -2,
            _ => *self.dice.pick(&[i32::MAX, i32::MIN, 100]),
        }
    }

    pub(super) fn acl(&mut self) -> Option<Vec<Acl>> {
        Some(match *self.dice.weighted(&ACLS) {
            AclKind::Open => vec![Acl::open()],
            AclKind::ReadOnly => vec![Acl::read_only()],
            AclKind::ReadersMayCreate => {
                vec![Acl::new(Perms::READ | Perms::CREATE, AclId::anyone())]
            }
            AclKind::Creator => vec![Acl::creator_all()],
            AclKind::User => vec![Acl::new(Perms::ALL, self.user())],
            AclKind::UserMayReadAll => {
                vec![Acl::new(self.perms(), self.user()), Acl::read_only()]
            }
            AclKind::Address => {
                let address = *self.dice.pick(&ADDRESSES);
                vec![Acl::new(self.perms(), AclId::new("ip", address))]
            }
            AclKind::Several => (0..self.dice.between(2, 4)).map(|_| self.entry()).collect(),
            AclKind::Odd => {
                let (scheme, id) = *self.dice.pick(&ODD_IDS);
                vec![Acl::open(), Acl::new(Perms::ALL, AclId::new(scheme, id))]
            }
            AclKind::Missing if self.dice.percent(50) => return None,
            AclKind::Missing => vec![],
        })
    }

    /// Few enough kinds that a list has duplicates.
    fn entry(&mut self) -> Acl {
        let perms = *self.dice.pick(&[Perms::ALL, Perms::READ, Perms::WRITE]);
        let id = match self.dice.below(4) {
            0 => AclId::anyone(),
            1 => AclId::auth(),
            2 => AclId::new("ip", "127.0.0.1"),
            _ => self.user(),
        };
        Acl::new(perms, id)
    }

    fn perms(&mut self) -> Perms {
        Perms(match self.dice.below(10) {
            0..3 => 31,
            3..9 => self.dice.below(32) as i32,
            _ => *self.dice.pick(&[-1, 0, 32, 63]),
        })
    }

    fn user(&mut self) -> AclId {
        let (user, password) = *self.dice.pick(&USERS);
        AclId::new("digest", digest_id(user, password))
    }

    /// Credentials that a server accepts.
    pub(super) fn credentials(&mut self) -> AuthPacket<'static> {
        match self.dice.below(10) {
            0..6 => {
                let (user, password) = *self.dice.pick(&USERS);
                auth("digest", Some(format!("{user}:{password}").as_bytes()))
            }
            6 => auth("digest", Some(SUPER)),
            7 => auth("digest", Some(b"ann:wrong")),
            8 => auth("digest", Some(*self.dice.pick(&ODD_CREDENTIALS))),
            _ => auth("ip", Some(b"10.1.2.3")),
        }
    }

    /// Credentials that cost the connection.
    pub(super) fn refused_credentials(&mut self) -> AuthPacket<'static> {
        match self.dice.below(6) {
            0 => auth("digest", None),
            1 => auth("sasl", Some(b"ann")),
            2 => auth("world", Some(b"anyone")),
            3 => auth("auth", Some(b"")),
            4 => auth("", Some(b"")),
            _ => auth("no such scheme", None),
        }
    }
}

/// Without a colon, without a name, with two.
const ODD_CREDENTIALS: [&[u8]; 5] = [b"nobody", b"", b":", b":x", b"a:b:c"];

pub(super) fn super_user() -> AuthPacket<'static> {
    auth("digest", Some(SUPER))
}

fn auth(scheme: &'static str, proof: Option<&[u8]>) -> AuthPacket<'static> {
    AuthPacket {
        kind: 0,
        scheme: scheme.into(),
        auth: Credential(proof.map(|proof| proof.to_owned().into())),
    }
}
