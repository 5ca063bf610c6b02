//! Who may do what, and how a client proves who it is.

use zk_client::{
    Acl, AclId, Client, CreateMode, CreateOptions, Error, ErrorCode, Perms, SessionState, Watcher,
};
use zk_proto::OpCode;
use zk_tests::target::connect;
use zk_tests::wait::{eventually, until_connected, until_state, within};
use zk_tests::{Cut, FakeServer, Feature, Proxy, Tap, Target};

const PERSISTENT: CreateMode = CreateMode::Persistent;

fn with_acl(acl: Vec<Acl>) -> CreateOptions {
    CreateOptions::from(PERSISTENT).with_acl(acl)
}

fn owners_only() -> CreateOptions {
    with_acl(vec![Acl::new(Perms::ALL, AclId::digest("owner", "secret"))])
}

async fn denied(client: &Client, path: &str) -> bool {
    // Its server may lag behind the one that set the ACL.
    match client.read_linearizable(path).await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), Some(ErrorCode::NoAuth));
            true
        }
    }
}

#[tokio::test]
async fn a_digest_opens_what_it_guards_and_no_other_does() {
    let target = Target::start().await;
    let client = target.client().await;
    client.create("/a", b"", owners_only()).await.unwrap();
    assert!(denied(&client, "/a").await);
    client.add_auth("digest", b"owner:wrong").await.unwrap();
    assert!(denied(&client, "/a").await);
    client.add_auth("digest", b"owner:secret").await.unwrap();
    assert!(!denied(&client, "/a").await);
}

#[tokio::test]
async fn credentials_hold_on_every_later_connection_and_session() {
    let target = Target::start().await;
    let proxy = Proxy::start(target.host()).await;
    let builder = target.builder_through(&proxy.host());
    let client = connect(builder.auth("digest", b"owner:secret")).await;
    client.create("/a", b"", owners_only()).await.unwrap();
    client.add_auth("digest", b"other:secret").await.unwrap();
    client
        .create(
            "/b",
            b"",
            with_acl(vec![Acl::new(Perms::ALL, AclId::digest("other", "secret"))]),
        )
        .await
        .unwrap();

    let before = proxy.accepted();
    proxy.cut(Cut::Reset);
    eventually("the next connection", async || proxy.accepted() > before).await;
    until_connected(&client).await;
    assert!(!denied(&client, "/a").await && !denied(&client, "/b").await);

    let epoch = client.epoch();
    target.expire(&client).await;
    eventually("a new session", async || client.epoch() > epoch).await;
    until_connected(&client).await;
    assert!(!denied(&client, "/a").await && !denied(&client, "/b").await);
}

#[tokio::test]
async fn an_acl_is_read_and_replaced() {
    let target = Target::start().await;
    let client = connect(target.builder().auth("digest", b"owner:secret")).await;
    client.create("/a", b"", PERSISTENT).await.unwrap();
    assert_eq!(client.get_acl("/a").await.unwrap().0, [Acl::open()]);
    let acl = vec![
        Acl::new(Perms::ALL, AclId::digest("owner", "secret")),
        Acl::read_only(),
    ];
    let stat = client.set_acl("/a", acl.clone(), 0).await.unwrap();
    assert_eq!((stat.aversion, stat.version), (1, 0));
    assert_eq!(client.get_acl("/a").await.unwrap(), (acl.clone(), stat));
    let error = client.set_acl("/a", acl, 0).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::BadVersion));

    let stranger = target.client().await;
    stranger.get_data("/a", None).await.unwrap();
    assert_eq!(
        stranger.set_data("/a", b"", None).await.unwrap_err().code(),
        Some(ErrorCode::NoAuth)
    );
    // Password hashes are for administrators.
    let (shown, _) = stranger.get_acl("/a").await.unwrap();
    assert_eq!(shown[0].id, AclId::new("digest", "owner:x"));
}

#[tokio::test]
async fn creator_all_means_the_creators_identities_and_needs_one() {
    let target = Target::start().await;
    let stranger = target.client().await;
    let error = stranger
        .create("/a", b"", with_acl(vec![Acl::creator_all()]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidAcl));
    let creator = connect(target.builder().auth("digest", b"owner:secret")).await;
    creator
        .create("/a", b"", with_acl(vec![Acl::creator_all()]))
        .await
        .unwrap();
    let (acl, _) = creator.get_acl("/a").await.unwrap();
    assert_eq!(
        acl,
        [Acl::new(Perms::ALL, AclId::digest("owner", "secret"))]
    );
    assert!(denied(&stranger, "/a").await);
}

#[tokio::test]
async fn each_permission_guards_its_operations() {
    let target = Target::start().await;
    let owner = connect(target.builder().auth("digest", b"owner:secret")).await;
    let stranger = target.client().await;
    let grant = |perms| {
        vec![
            Acl::new(Perms::ALL, AclId::digest("owner", "secret")),
            Acl::new(perms, AclId::anyone()),
        ]
    };
    owner
        .create("/a", b"", with_acl(grant(Perms::NONE)))
        .await
        .unwrap();
    let all = [
        Perms::READ,
        Perms::WRITE,
        Perms::CREATE,
        Perms::DELETE,
        Perms::ADMIN,
    ];
    for granted in all {
        owner.set_acl("/a", grant(granted), None).await.unwrap();
        let (victim, child) = (
            format!("/a/victim-{granted:?}"),
            format!("/a/child-{granted:?}"),
        );
        owner.create(&victim, b"", PERSISTENT).await.unwrap();
        stranger.sync("/a").await.unwrap();
        let outcomes = [
            (Perms::READ, stranger.get_data("/a", None).await.err()),
            (Perms::READ, stranger.get_children("/a", None).await.err()),
            (Perms::WRITE, stranger.set_data("/a", b"", None).await.err()),
            (
                Perms::CREATE,
                stranger.create(&child, b"", PERSISTENT).await.err(),
            ),
            (Perms::DELETE, stranger.delete(&victim, None).await.err()),
            (
                Perms::ADMIN,
                stranger.set_acl("/a", grant(granted), None).await.err(),
            ),
        ];
        for (needed, error) in outcomes {
            let expected = (needed != granted).then_some(ErrorCode::NoAuth);
            let code = error.and_then(|error| error.code());
            assert_eq!(code, expected, "{needed:?} with {granted:?}");
        }
    }
}

#[tokio::test]
async fn exists_and_events_need_read_where_servers_ask_for_it() {
    let target = Target::start().await;
    let owner = connect(target.builder().auth("digest", b"owner:secret")).await;
    let stranger = target.client().await;
    let watcher = Watcher::new();
    stranger.exists("/a", &watcher).await.unwrap();
    owner.create("/a", b"", owners_only()).await.unwrap();
    stranger.sync("/a").await.unwrap();
    let exists = stranger.exists("/a", None).await;
    if target.has(Feature::ReadGuardsExistsAndEvents) {
        assert_eq!(exists.unwrap_err().code(), Some(ErrorCode::NoAuth));
        assert_eq!(watcher.try_next(), None);
    } else {
        assert!(exists.unwrap().is_some());
        assert!(watcher.try_next().is_some());
    }
}

#[tokio::test]
async fn an_address_is_an_identity_from_the_start() {
    let target = Target::start().await;
    let client = target.client().await;
    let loopback = with_acl(vec![Acl::new(Perms::ALL, AclId::new("ip", "127.0.0.0/8"))]);
    let elsewhere = with_acl(vec![Acl::new(Perms::ALL, AclId::new("ip", "203.0.113.7"))]);
    client.create("/here", b"", loopback).await.unwrap();
    client.create("/there", b"", elsewhere).await.unwrap();
    let identities = client.who_am_i().await.unwrap();
    let local = identities
        .iter()
        .any(|id| id.auth_scheme == "ip" && id.user.starts_with("127."));
    assert_eq!(
        denied(&client, "/here").await,
        target.has(Feature::WhoAmI) && !local
    );
    assert!(denied(&client, "/there").await);
}

#[tokio::test]
async fn who_am_i_lists_what_was_presented() {
    let target = Target::start().await;
    let client = connect(target.builder().auth("digest", b"owner:secret")).await;
    let mut identities = client.who_am_i().await.unwrap();
    // On servers without whoAmI the client knows only what it has said itself.
    assert_eq!(
        identities.iter().any(|id| id.auth_scheme == "ip"),
        target.has(Feature::WhoAmI)
    );
    identities.retain(|id| id.auth_scheme == "digest");
    assert_eq!(identities.len(), 1);
    assert_eq!(identities[0].user, "owner");
}

#[tokio::test]
async fn world_and_auth_are_not_presented_and_refused_here() {
    let target = Target::start().await;
    let tap = Tap::start(target.host()).await;
    let client = target.client_through(&tap.host()).await;
    for scheme in ["world", "auth", ""] {
        let error = client.add_auth(scheme, b"anyone").await.unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    }
    client.get_data("/", None).await.unwrap();
    assert_eq!(tap.count(OpCode::Auth), 0);
}

#[tokio::test]
async fn refused_credentials_end_the_client() {
    let target = Target::start().await;
    let client = target.client().await;
    let watcher = Watcher::new();
    client.get_data("/", &watcher).await.unwrap();
    let presented = client.add_auth("no-such-scheme", b"x");
    let behind = client.get_data("/", None);
    let error = within("an answer", presented).await.unwrap_err();
    assert_eq!(error, Error::AuthFailed);
    // Answered before the refusal, or failed by it: it does not hang.
    let _ = within("an answer", behind).await;
    until_state(&client, |state| *state == SessionState::AuthFailed).await;
    assert_eq!(
        client.get_data("/", None).await.unwrap_err(),
        Error::AuthFailed
    );
    within("the end of the events", async {
        while watcher.next().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn refused_credentials_fail_the_connect() {
    let target = Target::start().await;
    let refused = target.builder().auth("no-such-scheme", b"x").connect();
    let error = within("an answer", refused).await.unwrap_err();
    assert!(
        matches!(error, zk_client::ConnectError::AuthFailed),
        "{error:?}"
    );
}

#[tokio::test]
async fn credentials_refused_on_a_reconnect_end_the_client_and_nothing_goes_unauthenticated() {
    let server = FakeServer::start(async |mut connection, number| {
        if connection.handshake().await.is_none() {
            return;
        }
        let Some(auth) = connection.expect(OpCode::Auth, 1).await else {
            return;
        };
        let err = if number == 0 {
            ErrorCode::Ok
        } else {
            ErrorCode::AuthFailed
        };
        connection.reply(auth.xid, 0, err, &()).await;
        if number > 0 {
            assert_eq!(connection.request(1).await, None);
        }
    })
    .await;
    let client = connect(Client::builder(&server.host()).auth("digest", b"owner:rotated")).await;
    until_state(&client, |state| *state == SessionState::AuthFailed).await;
    assert_eq!(
        client.get_data("/", None).await.unwrap_err(),
        Error::AuthFailed
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn identities_of_one_session_are_not_those_of_another() {
    let target = Target::start().await;
    let (owner, stranger) = (
        connect(target.builder().auth("digest", b"owner:secret")).await,
        target.client().await,
    );
    owner.create("/a", b"", owners_only()).await.unwrap();
    assert!(!denied(&owner, "/a").await);
    assert!(denied(&stranger, "/a").await);
}
