//! The table: a line per operation, ACL and subject, with an answer per permission.

use std::collections::BTreeMap;

use zk_proto::data::open_acl;
use zk_proto::record::{
    CreateRequest, GetAclResponse, MultiOp, MultiRequest, MultiResponse, MultiResult,
    SetAclRequest, SetDataRequest, WhoAmIResponse,
};
use zk_proto::{Acl, AclId, Decode, ErrorCode, OpCode, Perms, Reader};
use zk_tests::RawSession;

use super::asking::{Answer, Body, ask, events};
use super::operations::{OPERATIONS, Operation, Watch, persistent_watch};
use super::subjects::Subject;

/// The columns.
const PERMISSIONS: [Perms; 7] = [
    Perms::NONE,
    Perms::READ,
    Perms::WRITE,
    Perms::CREATE,
    Perms::DELETE,
    Perms::ADMIN,
    Perms::ALL,
];

const DIGEST_OF_OWNER: &str = "own:WB9qmW9kBoTSnXyoit3HXD1EF4E=";

/// Whom an ACL means, and who comes.
const CASES: &[(&str, &str, Subject)] = &[
    ("world", "anyone", Subject::Stranger),
    ("auth", "", Subject::Owner),
    ("auth", "", Subject::Stranger),
    ("digest", DIGEST_OF_OWNER, Subject::Owner),
    ("digest", DIGEST_OF_OWNER, Subject::Impostor),
    ("digest", DIGEST_OF_OWNER, Subject::Stranger),
    ("digest", DIGEST_OF_OWNER, Subject::Super),
    ("digest", DIGEST_OF_OWNER, Subject::SaslSuper),
    ("ip", "127.0.0.1", Subject::Stranger),
    ("ip", "127.0.0.0/8", Subject::Stranger),
    ("ip", "10.0.0.0/8", Subject::Stranger),
    ("sasl", "bob", Subject::Bob),
    ("sasl", "bob", Subject::Stranger),
    ("sasl", "bob", Subject::SaslSuper),
];

/// Every operation, case and permission.
pub(crate) async fn matrix(host: &str) -> Vec<String> {
    let mut founder = founder(host).await;
    let mut sessions = Vec::new();
    for subject in Subject::ALL {
        sessions.push((subject, subject.open(host).await));
    }
    let mut lines = Vec::new();
    for (at, operation) in OPERATIONS.iter().enumerate() {
        for (row, (scheme, id, who)) in CASES.iter().enumerate() {
            let mut line = format!("{} | {scheme}:{id} | {who:?} |", operation.name);
            let (_, session) = sessions.iter_mut().find(|(it, _)| it == who).unwrap();
            for perms in PERMISSIONS {
                let node = format!("/m{at}-{row}-{}", perms.0);
                found(
                    &mut founder,
                    &node,
                    Acl::new(perms, AclId::new(*scheme, *id)),
                )
                .await;
                line.push(' ');
                let answer = cell(&mut founder, session, operation, &node).await;
                // A server closes behind an operation that it does not know.
                if answer.starts_with("ConnectionLoss") || answer.starts_with("Unimplemented") {
                    *session = who.open(host).await;
                }
                line += &answer;
            }
            lines.push(line);
        }
    }
    lines
}

/// Who makes the znodes: may do everything, and is the owner as well.
async fn founder(host: &str) -> RawSession {
    let mut founder = Subject::Super.open(host).await;
    let owner = founder.authenticate("digest", b"own:er").await;
    owner.unwrap();
    founder
}

fn create(path: &str, acl: Option<Vec<Acl>>) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: None,
        acl,
        flags: 0,
    }
}

async fn found(founder: &mut RawSession, node: &str, acl: Acl) {
    let child = format!("{node}/child");
    let ops = vec![
        MultiOp::Create(create(node, Some(vec![acl]))),
        MultiOp::Create(create(&child, Some(open_acl()))),
    ];
    let made = ask(founder, OpCode::Multi, &Body::of(&MultiRequest { ops })).await;
    assert_eq!(made.err, ErrorCode::Ok, "{node}");
}

async fn cell(
    founder: &mut RawSession,
    session: &mut RawSession,
    operation: &Operation,
    node: &str,
) -> String {
    if operation.watch == Watch::Needs {
        ask(session, OpCode::AddWatch, &persistent_watch(node)).await;
    }
    let answer = ask(session, operation.op, &(operation.body)(node)).await;
    let mut text = told(operation.op, &answer);
    if operation.watch != Watch::No && answer.err != ErrorCode::ConnectionLoss {
        change(founder, node).await;
        text += &format!("{:?}then{:?}", answer.events, events(session).await);
    }
    text.retain(|c| c != ' ');
    text
}

/// Data first, then the list of children.
async fn change(founder: &mut RawSession, node: &str) {
    let set = SetDataRequest {
        path: node.into(),
        data: None,
        version: -1,
    };
    let set = ask(founder, OpCode::SetData, &Body::of(&set)).await;
    let path = format!("{node}/later");
    let made = Body::of(&create(&path, Some(open_acl())));
    let made = ask(founder, OpCode::Create, &made).await;
    assert_eq!((set.err, made.err), (ErrorCode::Ok, ErrorCode::Ok));
}

/// The code, and what the answer says about ACLs or identities.
fn told(op: OpCode, answer: &Answer) -> String {
    let mut text = format!("{:?}", answer.err);
    let mut reader = Reader::new(&answer.body);
    if answer.body.is_empty() {
        return text;
    }
    match op {
        OpCode::Multi | OpCode::MultiRead => {
            let response = MultiResponse::decode(&mut reader).unwrap();
            text += &format!(
                "[{}]",
                response
                    .results
                    .iter()
                    .map(result)
                    .collect::<Vec<_>>()
                    .join(",")
            );
        }
        OpCode::GetAcl => {
            let acl = GetAclResponse::decode(&mut reader).unwrap().acl;
            text += &listed(
                acl.iter()
                    .map(|it| format!("{}:{}:{}", it.perms.0, it.id.scheme, it.id.id)),
            );
        }
        OpCode::WhoAmI => {
            let who = WhoAmIResponse::decode(&mut reader).unwrap().client_info;
            text += &listed(
                who.iter()
                    .map(|it| format!("{}:{}", it.auth_scheme, it.user)),
            );
        }
        _ => {}
    }
    text
}

fn result(result: &MultiResult) -> String {
    match result {
        MultiResult::Create(_) => "create".to_owned(),
        MultiResult::Create2(_) => "create2".to_owned(),
        MultiResult::Delete => "delete".to_owned(),
        MultiResult::SetData(_) => "setData".to_owned(),
        MultiResult::Check => "check".to_owned(),
        MultiResult::GetData(_) => "getData".to_owned(),
        MultiResult::GetChildren(_) => "getChildren".to_owned(),
        MultiResult::Error(error) => format!("{error:?}"),
    }
}

/// Sorted: Apache keeps identities in a hash set.
fn listed(entries: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::new();
    entries.for_each(|entry| *counts.entry(entry).or_insert(0) += 1);
    format!("{counts:?}").replace('"', "")
}

/// ACLs that may not be: a line each, created and set by each subject.
pub(crate) async fn invalid_acls(host: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for who in Subject::ALL {
        let mut session = who.open(host).await;
        let open = format!("/i{who:?}");
        ask(
            &mut session,
            OpCode::Create,
            &Body::of(&create(&open, Some(open_acl()))),
        )
        .await;
        for (at, acl) in acls().into_iter().enumerate() {
            let name = format!("{open}/{at}");
            let made = Body::of(&create(&name, acl.clone()));
            let made = ask(&mut session, OpCode::Create, &made).await.err;
            let inside = MultiRequest {
                ops: vec![MultiOp::Create(create("/none/x", acl.clone()))],
            };
            let inside = ask(&mut session, OpCode::Multi, &Body::of(&inside)).await;
            let inside = told(OpCode::Multi, &inside);
            let before = ask(&mut session, OpCode::SetAcl, &set_acl("/none", acl.clone()))
                .await
                .err;
            let set = ask(&mut session, OpCode::SetAcl, &set_acl(&open, acl.clone()))
                .await
                .err;
            // Open again for the next one, by whoever may.
            let again = set_acl(&open, Some(open_acl()));
            founder(host)
                .await
                .request(OpCode::SetAcl, &again)
                .await
                .unwrap();
            let shown = listed(
                acl.iter()
                    .flatten()
                    .map(|it| format!("{}:{}:{}", it.perms.0, it.id.scheme, it.id.id)),
            );
            let null = if acl.is_none() { "null" } else { "" };
            lines.push(format!(
                "acl {null}{shown} | {who:?} | create {made:?} multi {inside} missing {before:?} setACL {set:?}"
            ));
        }
    }
    lines
}

fn set_acl(path: &str, acl: Option<Vec<Acl>>) -> Body {
    Body::of(&SetAclRequest {
        path: path.into(),
        acl,
        version: -1,
    })
}

fn acls() -> Vec<Option<Vec<Acl>>> {
    let mut acls = vec![None, Some(Vec::new())];
    for (scheme, id) in [
        ("world", "anyone"),
        ("world", "everyone"),
        ("world", ""),
        ("auth", ""),
        ("auth", "own"),
        ("super", ""),
        ("super", "own"),
        ("nosuch", "x"),
        ("", ""),
        ("x509", "CN=x"),
        ("digest", ""),
        ("digest", "own"),
        ("digest", ":"),
        ("digest", "own:"),
        ("digest", ":h"),
        ("digest", "own:h"),
        ("digest", "own:h:h"),
        ("digest", "own:h:"),
        ("ip", ""),
        ("ip", "host"),
        ("ip", "1.2.3"),
        ("ip", "1.2.3.4"),
        ("ip", "1.2.3.256"),
        ("ip", "1.2.3.4.5"),
        ("ip", "1.2.3.4/0"),
        ("ip", "1.2.3.4/32"),
        ("ip", "1.2.3.4/33"),
        ("ip", "1.2.3.4/-1"),
        ("ip", "1.2.3.4/"),
        ("ip", "1.2.3.4/x"),
        ("ip", "1.2.3.4/8/8"),
        ("ip", "::1"),
        ("ip", "::1/128"),
        ("ip", "::1/129"),
        ("ip", "::ffff:1.2.3.4"),
        ("sasl", ""),
        ("sasl", "bob"),
        ("sasl", "bob@"),
        ("sasl", "bob/h@R"),
        ("sasl", "a/b/c@R"),
        ("sasl", "@R"),
        ("sasl", "a@b@c"),
    ] {
        acls.push(Some(vec![Acl::new(Perms::ALL, AclId::new(scheme, id))]));
    }
    let bad_beside_good = [AclId::anyone(), AclId::new("nosuch", "x")];
    acls.push(Some(
        bad_beside_good.map(|id| Acl::new(Perms::ALL, id)).into(),
    ));
    acls.push(Some(vec![Acl::new(Perms(64), AclId::anyone())]));
    acls.push(Some(vec![Acl::new(Perms(-1), AclId::anyone())]));
    acls
}

/// Credentials by packet: whether they are taken.
pub(crate) async fn credentials(host: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (scheme, auth) in [
        ("digest", "own:er"),
        ("digest", "nocolon"),
        ("digest", ""),
        ("digest", "a:b:c"),
        ("digest", "super:admin"),
        ("digest", "super:wrong"),
        ("ip", ""),
        ("ip", "10.0.0.1"),
        ("world", "anyone"),
        ("auth", ""),
        ("super", ""),
        ("sasl", "bob"),
        ("x509", ""),
        ("nosuch", "x"),
        ("", ""),
    ] {
        let mut session = RawSession::open(host).await.unwrap();
        let taken = session.authenticate(scheme, auth.as_bytes()).await;
        let who = match &taken {
            Ok(()) => told(
                OpCode::WhoAmI,
                &ask(&mut session, OpCode::WhoAmI, &Body::of(&())).await,
            ),
            Err(error) => format!("{:?}", error.kind()),
        };
        lines.push(format!("addAuth {scheme} {auth} | {who}"));
    }
    lines
}
