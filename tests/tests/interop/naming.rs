//! Each resolves what the other has registered.

use std::collections::BTreeMap;

use zk_recipes::{
    InstanceFormat, Payload, Resolved, ResolvedInstances, ServiceDiscovery, ServiceInstance,
    ServiceProvider, UriSpec,
};

use super::*;

const BASE: &str = "/services";
const SERVICE: &str = "billing";

async fn until(
    provider: &ServiceProvider,
    are: impl Fn(&BTreeMap<String, Resolved>) -> bool,
) -> ResolvedInstances {
    let mut instances = provider.instances();
    let waiting = instances.wait_for(|now| are(now));
    within("the instances", waiting).await.unwrap().clone()
}

fn ours(services: &ServiceDiscovery, class: &str) -> ServiceInstance {
    let mut instance = services.instance(SERVICE);
    instance.id = "ours".into();
    instance.address = Some("10.0.0.2".into());
    instance.ssl_port = Some(8443);
    let fields = BTreeMap::from([("zone", "\u{1F600}")]);
    instance.payload = Some(Payload::with_class(class, &fields).unwrap());
    instance.uri_spec = Some(UriSpec::parse("{scheme}://{address}:{ssl-port}").unwrap());
    instance
}

/// The bytes of theirs are ours again, once we write them.
async fn resolve_each_other(format: InstanceFormat, theirs_is: &str) {
    let both = Both::start(Library::Curator).await;
    let services = ServiceDiscovery::builder(&both.client, BASE).format(format);
    let services = services.build().unwrap();
    let theirs = both.peer.handle("n");
    let register = format!("register {theirs_is} {BASE} {SERVICE} theirs \u{1F600}");
    theirs.ask(&register).await;

    let provider = within("reading", services.resolve(SERVICE)).await.unwrap();
    let one = until(&provider, |now| now.len() == 1).await;
    let found = ServiceInstance::clone(one["theirs"].instance.as_ref().unwrap());
    assert_eq!(found.uri().as_deref(), Some("http://10.0.0.1:8080"));
    let zones: BTreeMap<String, String> = found.payload.as_ref().unwrap().parse().unwrap();
    assert_eq!(zones["zone"], "\u{1F600}");
    let class = zones["@class"].clone();

    // A copy, beside it.
    let mut copy = found;
    copy.name = "copies".into();
    let copied = within("registering", services.register(copy.clone())).await;
    let copied = copied.unwrap();
    let raw = String::from_utf8(one["theirs"].raw.to_vec()).unwrap();
    let written = both.text("/services/copies/theirs").await;
    assert_eq!(written, raw.replace("\"billing\"", "\"copies\""));
    assert!(written.contains("\\uD83D\\uDE00"), "{written}");

    let registering = services.register(ours(&services, &class));
    let mut registration = within("registering", registering).await.unwrap();
    until(&provider, |now| now.len() == 2).await;
    let all = |enabled| {
        format!(
            "ours=https://10.0.0.2:8443;{{zone=\u{1F600}}};{enabled},\
             theirs=http://10.0.0.1:8080;{{zone=\u{1F600}}};true"
        )
    };
    let resolve = format!("resolve {BASE} {SERVICE}");
    assert_eq!(theirs.ask(&resolve).await, all(true));
    let disabled = registration.set_enabled(false);
    assert_eq!(disabled.is_ok(), format == InstanceFormat::WithEnabled);
    if disabled.is_ok() {
        within("the update", registration.present()).await.unwrap();
        eventually("it is disabled", async || {
            theirs.ask(&resolve).await == all(false)
        })
        .await;
    }
    theirs.ask("unregister").await;
    until(&provider, |now| now.keys().eq(["ours"])).await;
    within("the end", registration.unregister()).await.unwrap();
    within("the end", copied.unregister()).await.unwrap();
    assert_eq!(theirs.ask(&resolve).await, "");
}

#[tokio::test]
async fn in_the_compatible_format() {
    resolve_each_other(InstanceFormat::Compatible, "compatible").await;
}

#[tokio::test]
async fn in_the_format_with_enabled() {
    resolve_each_other(InstanceFormat::WithEnabled, "full").await;
}

/// A class that they do not have is a bad instance to them, never to us.
#[tokio::test]
async fn classes_are_javas_affair() {
    let both = Both::start(Library::Curator).await;
    let services = ServiceDiscovery::builder(&both.client, BASE)
        .build()
        .unwrap();
    let registering = services.register(ours(&services, "no.such.Class"));
    let registration = within("registering", registering).await.unwrap();
    let provider = within("reading", services.resolve(SERVICE)).await.unwrap();
    let one = until(&provider, |now| now.len() == 1).await;
    let found = one["ours"].instance.as_ref().unwrap();
    assert_eq!(&**found, registration.instance());
    let theirs = both.peer.handle("n");
    theirs.tell(&format!("resolve {BASE} {SERVICE}")).await;
    let answer = within("their answer", async {
        loop {
            if let Some(answer) = theirs.heard() {
                return answer;
            }
            both.client.sync("/").await.unwrap();
        }
    });
    assert!(answer.await.starts_with("error"), "they have no such class");
    within("the end", registration.unregister()).await.unwrap();
}
