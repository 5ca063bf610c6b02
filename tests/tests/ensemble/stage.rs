//! What the loads have in common: clients, the end, what went wrong.

use std::fmt::Display;
use std::sync::{Arc, Mutex as Locked};
use std::time::Duration;

use tokio::sync::watch;
use zk_client::Client;
use zk_env::{TaskHandle, sleep_until};
use zk_recipes::{Ownership, OwnershipState, Proof};
use zk_tests::Target;
use zk_tests::target::connect;

/// Longer than a failover takes, so that most sessions outlive one.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// What every load is handed.
pub(crate) struct Stage {
    target: Target,
    hosts: String,
    is_over: watch::Sender<bool>,
    /// What must never happen, and did.
    violations: Arc<Locked<Vec<String>>>,
}

impl Stage {
    pub(crate) async fn start(hosts: String) -> Self {
        Self {
            target: Target::start().await,
            hosts,
            is_over: watch::Sender::new(false),
            violations: Arc::default(),
        }
    }

    /// A client that knows every server.
    pub(crate) async fn client(&self) -> Client {
        let builder = self.target.builder_through(&self.hosts);
        connect(builder.session_timeout(SESSION_TIMEOUT)).await
    }

    /// Runs a part of a load, with a client of its own.
    pub(crate) async fn spawn<W>(&self, work: impl FnOnce(Part) -> W) -> TaskHandle
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let part = Part {
            client: self.client().await,
            is_over: self.is_over.subscribe(),
            violations: Arc::clone(&self.violations),
        };
        let env = Arc::clone(part.client.env());
        env.spawn("load", Box::pin(work(part)))
    }

    /// Has every part end.
    pub(crate) fn end(&self) {
        self.is_over.send_replace(true);
    }

    pub(crate) fn assert_no_violation(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// What one task of a load has.
pub(crate) struct Part {
    pub(crate) client: Client,
    is_over: watch::Receiver<bool>,
    violations: Arc<Locked<Vec<String>>>,
}

impl Part {
    pub(crate) fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    /// For a task, where a panic would be heard by nobody.
    pub(crate) fn violation(&self, what: impl Display) {
        self.violations.lock().unwrap().push(what.to_string());
    }

    /// Paces what would otherwise spin.
    pub(crate) async fn pause(&self, pause: Duration) {
        let env = self.client.env();
        sleep_until(&mut *env.timer(), env.now() + pause).await;
    }
}

/// The owners there were of one thing that has one at a time.
#[derive(Default)]
pub(crate) struct Owners(Locked<Vec<Ownership>>);

impl Owners {
    /// Somebody owns it from now on: nobody else does by a quorum proof. A soft proof promises
    /// nothing on an ensemble.
    pub(crate) fn add(&self, part: &Part, next: Ownership) {
        let mut owners = self.0.lock().unwrap();
        owners.retain(|owner| !matches!(owner.current(), OwnershipState::Lost(_)));
        for owner in &*owners {
            let state = owner.current();
            if matches!(state, OwnershipState::Held { proof, .. } if proof >= Proof::Quorum) {
                part.violation(format!("{next:?} beside {owner:?}: {state:?}"));
            }
            if owner.fencing_token() >= next.fencing_token() {
                part.violation(format!("{next:?} after {owner:?}"));
            }
        }
        owners.push(next);
    }
}
