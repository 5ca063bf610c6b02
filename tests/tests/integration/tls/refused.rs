//! What is refused, and what the error says to do.

use zk_client::tls::TlsVersion;
use zk_tests::certificates::self_signed;

use super::*;

async fn refusal_of(stage: &Stage, shown: &Signed, tls: Tls) -> String {
    let front = stage.front(shown).await;
    let builder = stage.builder("127.0.0.1", front.port()).tls(tls);
    stage.refusal(builder).await
}

#[tokio::test]
async fn another_hosts_certificate() {
    let stage = Stage::new().await;
    let other = stage.authority.server(&["zk.internal"], Validity::Valid);
    let told = refusal_of(&stage, &other, stage.tls()).await;
    assert!(told.contains("another host's"), "{told}");
    assert!(told.contains("Tls::server_name"), "{told}");
    assert!(told.contains("zk.internal"), "{told}");
}

#[tokio::test]
async fn certificates_out_of_their_time() {
    let stage = Stage::new().await;
    let expired = stage.authority.server(LOOPBACK, Validity::Expired);
    let told = refusal_of(&stage, &expired, stage.tls()).await;
    assert!(told.contains("has to be renewed"), "{told}");
    let early = stage.authority.server(LOOPBACK, Validity::NotYet);
    let told = refusal_of(&stage, &early, stage.tls()).await;
    assert!(told.contains("not valid yet"), "{told}");
    // Without a look at the name all else is looked at still.
    let tls = stage.tls().dangerous_accept_any_host_name();
    let told = refusal_of(&stage, &expired, tls).await;
    assert!(told.contains("has to be renewed"), "{told}");
}

#[tokio::test]
async fn certificates_that_nobody_trusted_has_signed() {
    let stage = Stage::new().await;
    let stranger = Authority::new("strangers").server(LOOPBACK, Validity::Valid);
    for shown in [self_signed(LOOPBACK), stranger] {
        for tls in [stage.tls(), stage.tls().dangerous_accept_any_host_name()] {
            let told = refusal_of(&stage, &shown, tls).await;
            assert!(told.contains("Tls::with_roots_file"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_revoked_certificate() {
    let stage = Stage::new().await;
    let (revoked, good) = (stage.good(), stage.good());
    let list = stage.authority.revocations(&[&revoked]);
    let tls = stage.tls().revocations_pem(list);
    let told = refusal_of(&stage, &revoked, tls.clone()).await;
    assert!(told.contains("has revoked"), "{told}");
    let front = stage.front(&good).await;
    works(&stage.connected(&front, tls).await).await;
}

#[tokio::test]
async fn a_client_without_a_certificate_that_the_server_accepts() {
    let stage = Stage::new().await;
    let shown = stage.good();
    let stranger = Authority::new("strangers").client("x", Validity::Valid);
    let expired = stage.authority.client("x", Validity::Expired);
    let identities = [
        (None, "Tls::identity_files"),
        (Some(stranger), "trust its authority"),
        (Some(expired), "has expired"),
    ];
    for (identity, advice) in identities {
        let front = TlsFrontBuilder::new(&shown).wanting(&stage.authority);
        let front = front.start(stage.target.host()).await;
        let tls = match identity {
            None => stage.tls(),
            Some(Signed {
                certificate, key, ..
            }) => stage.tls().identity_pem(certificate, key),
        };
        let builder = stage.builder("127.0.0.1", front.port()).tls(tls);
        let told = stage.refusal(builder).await;
        assert!(told.contains(advice), "{advice}: {told}");
    }
}

#[tokio::test]
async fn versions_that_are_too_old() {
    let stage = Stage::new().await;
    let shown = stage.good();
    let front = TlsFrontBuilder::new(&shown).only_1_2();
    let front = front.start(stage.target.host()).await;
    let tls = stage.tls().min_version(TlsVersion::V1_3);
    let builder = stage.builder("127.0.0.1", front.port()).tls(tls);
    let told = stage.refusal(builder).await;
    assert!(told.contains("Tls::min_version"), "{told}");
    works(&stage.connected(&front, stage.tls()).await).await;
}

#[tokio::test]
async fn a_port_for_plain_text() {
    let stage = Stage::new().await;
    let builder = stage.target.builder_through(stage.target.host());
    let told = stage.refusal(builder.tls(stage.tls())).await;
    assert!(told.contains("secureClientPort"), "{told}");
}

#[tokio::test]
async fn plain_text_at_a_port_for_tls() {
    let stage = Stage::new().await;
    let front = stage.front(&stage.good()).await;
    let told = stage
        .refusal(stage.builder("127.0.0.1", front.port()))
        .await;
    assert!(told.contains("ClientBuilder::tls"), "{told}");
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be() {
    let stage = Stage::new().await;
    let front = stage.front(&stage.good()).await;
    let client = stage.authority.client("x", Validity::Valid);
    let other = stage.authority.client("y", Validity::Valid);
    let cases = [
        (Tls::with_roots_file("/no/such/ca.pem"), "/no/such/ca.pem"),
        (Tls::with_roots_pem("no PEM"), "has no certificate"),
        (Tls::with_roots_pem(*b"\xfe\xed\xfe\xed"), "keytool"),
        (Tls::with_roots_pem(*b"\x30\x82"), "openssl pkcs12"),
        (
            stage
                .tls()
                .identity_pem(client.certificate.clone(), "no key"),
            "has no private key",
        ),
        (
            stage.tls().identity_pem(client.certificate, other.key),
            "keys may not be consistent",
        ),
        (
            stage.tls().revocations_pem("no list"),
            "has no revocation list",
        ),
        (stage.tls().server_name("no name"), "is no name"),
    ];
    for (tls, advice) in cases {
        let builder = stage.builder("127.0.0.1", front.port()).tls(tls);
        let told = stage.refusal(builder).await.to_lowercase();
        assert!(told.contains(&advice.to_lowercase()), "{advice}: {told}");
    }
}
