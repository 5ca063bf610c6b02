//! Services that are registered and resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use zk_client::CreateMode;
use zk_recipes::{
    Depth, Error, InstanceFormat, ProviderStrategy, Resolved, ServiceDiscovery, ServiceInstance,
    ServiceProvider, ServiceRegistration, ServiceType, Subscription, Update,
};
use zk_tests::Target;
use zk_tests::wait::{eventually, within};

use super::*;

const BASE: &str = "/services";
const SERVICE: &str = "/services/billing";

fn services(client: &Client) -> ServiceDiscovery {
    let services = ServiceDiscovery::builder(client, BASE).format(InstanceFormat::WithEnabled);
    services.build().unwrap()
}

fn instance(id: &str) -> ServiceInstance {
    let mut instance = ServiceInstance::new("billing", id);
    instance.address = Some("10.0.0.7".into());
    instance.port = Some(8080);
    instance
}

async fn register(client: &Client, instance: ServiceInstance) -> ServiceRegistration {
    let services = services(client);
    let registering = services.register(instance);
    within("the registration", registering).await.unwrap()
}

async fn resolve(client: &Client) -> ServiceProvider {
    let services = services(client);
    let resolving = services.resolve("billing");
    within("the instances", resolving).await.unwrap()
}

async fn until(
    provider: &ServiceProvider,
    what: &str,
    are: impl Fn(&BTreeMap<String, Resolved>) -> bool,
) -> Arc<BTreeMap<String, Resolved>> {
    let mut instances = provider.instances();
    let waiting = instances.wait_for(|now| are(now));
    within(what, waiting).await.unwrap().clone()
}

#[tokio::test]
async fn an_instance_is_registered_changed_and_unregistered() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    assert_eq!(services(&other).services().await.unwrap(), [""; 0]);
    let provider = resolve(&other).await;
    assert!(provider.instances().borrow().is_empty());

    let mut registration = register(&client, instance("a")).await;
    assert!(registration.instance().registration_time_utc > 0);
    let found = until(&provider, "the instance", |now| now.contains_key("a")).await;
    let found = found["a"].instance.as_ref().unwrap();
    assert_eq!(&**found, registration.instance());
    assert_eq!(services(&other).services().await.unwrap(), ["billing"]);
    let stat = other.exists("/services/billing/a", None).await.unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, client.session_id());

    registration.set_enabled(false).unwrap();
    let is_disabled = |now: &BTreeMap<String, Resolved>| {
        let found = now.get("a").and_then(|found| found.instance.as_ref().ok());
        found.is_some_and(|found| !found.enabled)
    };
    until(&provider, "the change", is_disabled).await;
    let renamed = registration.update(|instance| instance.id = "b".into());
    assert!(matches!(renamed, Err(Error::InvalidArgument { .. })));
    within("the end", registration.unregister()).await.unwrap();
    until(&provider, "the end", BTreeMap::is_empty).await;
}

#[tokio::test]
async fn a_bad_instance_does_not_hide_the_others() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let good = register(&client, instance("good")).await;
    let bad = format!("{SERVICE}/bad");
    let mode = CreateMode::Ephemeral;
    other.create(&bad, b"{\"port\":", mode).await.unwrap();
    // Whether it is there from the start, or comes later.
    let provider = resolve(&client).await;
    let both = until(&provider, "both", |now| now.len() == 2).await;
    assert!(both["bad"].instance.is_err());
    assert_eq!(both["bad"].raw, "{\"port\":");
    assert!(both["good"].instance.is_ok());
    let mut chooser = provider.chooser(ProviderStrategy::Random);
    for _ in 0..10 {
        assert_eq!(chooser.choose().unwrap().id, "good");
    }
    let cured = br#"{"name":"billing","id":"bad","more":1}"#;
    other.set_data(&bad, cured, None).await.unwrap();
    until(&provider, "the cure", |now| now["bad"].instance.is_ok()).await;
    other.set_data(&bad, b"", None).await.unwrap();
    let again = until(&provider, "the relapse", |now| now["bad"].instance.is_err()).await;
    assert!(again["good"].instance.is_ok());
    drop(good);
    until(&provider, "the good one's end", |now| {
        now.keys().eq(["bad"])
    })
    .await;
}

#[tokio::test]
async fn a_restarted_process_takes_its_instance_over_without_a_gap() {
    let target = Target::start().await;
    let (before, after) = (target.client().await, target.client().await);
    let mut first = instance("a");
    first.registration_time_utc = 1;
    let _old = register(&before, first).await;
    let path = format!("{SERVICE}/a");
    let mut watching = Subscription::builder(&after, SERVICE)
        .depth(Depth::Children)
        .build()
        .unwrap();
    let snapshot = within("a snapshot", watching.next()).await.unwrap();
    let Update::Snapshot { znodes, .. } = snapshot else {
        panic!("{snapshot:?}");
    };
    let old = znodes[&path].stat.czxid;

    let _new = register(&after, instance("a")).await;
    let update = within("the change", watching.next()).await.unwrap();
    let Update::Change { change, .. } = update else {
        panic!("{update:?}");
    };
    let now = change.after.expect("it is never missing");
    assert_eq!(now.stat.ephemeral_owner, after.session_id());
    assert!(now.stat.czxid > old);
}

#[tokio::test]
async fn an_id_of_another_process_is_not_taken() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let _theirs = register(&other, instance("a")).await;
    let mut elsewhere = instance("a");
    elsewhere.address = Some("10.0.0.8".into());
    let services = services(&client);
    let refused = within("the refusal", services.register(elsewhere)).await;
    assert!(matches!(refused, Err(Error::NameTaken { .. })));
    let stat = other.exists("/services/billing/a", None).await.unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, other.session_id());

    for (id, service_type) in [
        ("", ServiceType::Dynamic),
        ("a/b", ServiceType::Dynamic),
        ("b", ServiceType::DynamicSequential),
    ] {
        let mut wrong = instance(id);
        wrong.service_type = service_type;
        let refused = services.register(wrong).await;
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    }
    assert!(services.resolve("").await.is_err());
    assert!(services.resolve("a//b").await.is_err());
}

#[tokio::test]
async fn an_instance_comes_again_after_its_session_by_its_type() {
    let target = Target::start().await;
    let (client, other) = (target.client().await, target.client().await);
    let _dynamic = register(&client, instance("dynamic")).await;
    let mut lasting = instance("static");
    lasting.service_type = ServiceType::Static;
    let lasting = register(&client, lasting).await;
    let provider = resolve(&other).await;
    let before = until(&provider, "both", |now| now.len() == 2).await;
    target.expire(&client).await;
    let after = until(&provider, "a new session's instance", |now| {
        let found = now.get("dynamic");
        found.is_some_and(|found| found.czxid != before["dynamic"].czxid)
    })
    .await;
    assert_eq!(after["static"].czxid, before["static"].czxid);
    eventually("it is the client's", async || {
        let stat = other.exists("/services/billing/dynamic", None).await;
        let owner = stat.unwrap().map(|stat| stat.ephemeral_owner);
        owner == Some(client.session_id())
    })
    .await;
    within("the end", lasting.unregister()).await.unwrap();
    until(&provider, "the end", |now| now.keys().eq(["dynamic"])).await;
}

#[tokio::test]
async fn enabled_instances_are_chosen_by_the_strategy() {
    let target = Target::start().await;
    let client = target.client().await;
    let mut registrations = Vec::new();
    for id in ["a", "b", "c", "d"] {
        registrations.push(register(&client, instance(id)).await);
    }
    registrations[3].set_enabled(false).unwrap();
    let provider = resolve(&client).await;
    until(&provider, "the disabled one", |now| {
        let found = now.get("d").and_then(|found| found.instance.as_ref().ok());
        now.len() == 4 && found.is_some_and(|found| !found.enabled)
    })
    .await;

    let mut chooser = provider.chooser(ProviderStrategy::RoundRobin);
    let mut round = || {
        let mut ids: Vec<_> = (0..3)
            .map(|_| chooser.choose().unwrap().id.clone())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!([round(), round()], [["a", "b", "c"]; 2]);
    let mut filtered = provider
        .chooser(ProviderStrategy::RoundRobin)
        .filter(|instance| instance.id != "b");
    let chosen: Vec<_> = (0..4)
        .map(|_| filtered.choose().unwrap().id.clone())
        .collect();
    assert!(!chosen.iter().any(|id| id == "b") && chosen[0] != chosen[1]);

    let mut sticky = provider.chooser(ProviderStrategy::Sticky);
    let first = sticky.choose().unwrap().id.clone();
    for _ in 0..10 {
        assert_eq!(sticky.choose().unwrap().id, first);
    }
    let at = registrations
        .iter()
        .position(|registration| registration.instance().id == first)
        .unwrap();
    let gone = registrations.remove(at);
    within("the end", gone.unregister()).await.unwrap();
    until(&provider, "its end", |now| !now.contains_key(&first)).await;
    assert_ne!(sticky.choose().unwrap().id, first);
    drop(registrations);
    until(&provider, "the end", BTreeMap::is_empty).await;
    assert_eq!(sticky.choose(), None);
}

#[tokio::test]
async fn a_provider_says_why_it_follows_no_longer() {
    let target = Target::start().await;
    let client = target.client().await;
    let provider = resolve(&client).await;
    assert_eq!(provider.error(), None);
    let mut instances = provider.instances();
    client.clone().close().await.unwrap();
    let ended = async { while instances.changed().await.is_ok() {} };
    within("the end", ended).await;
    assert_eq!(
        provider.error(),
        Some(Error::Client(zk_client::Error::Closed))
    );
}
