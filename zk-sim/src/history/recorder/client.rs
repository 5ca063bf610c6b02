//! A client whose calls are written down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use zk_client::{
    Client, ClientBuilder, ConnectError, Epoch, Error, Reply, SessionId, SessionState, Watcher,
};
use zk_env::Env;
use zk_proto::{Chroot, OpCode, Xid};

use super::answer::About;
use super::{Recorded, RecordedTransaction, RecordedWatcher, Recorder, SessionSeen, StateSeen};
use crate::Sim;
use crate::history::{ClientId, Outcome};

/// A [`Client`] whose calls, answers, events and states are written down. Cheap to
/// clone; clones and [`chroot`](Self::chroot) handles are the same client.
#[derive(Clone, Debug)]
pub struct RecordedClient {
    /// Of this handle.
    client: Client,
    chroot: Chroot,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: ClientId,
    /// For the session's id, which nobody else would keep the client open for.
    client: Client,
    recorder: Recorder,
    sim: Sim,
}

impl RecordedClient {
    /// Connects as `builder` says, which has no chroot: use
    /// [`chroot`](Self::chroot).
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect`].
    pub async fn connect(
        builder: ClientBuilder,
        recorder: &Recorder,
        sim: &Sim,
    ) -> Result<Self, ConnectError> {
        let id = recorder.new_client();
        let client = builder.connect().await?;
        let shared = Arc::new(Shared {
            id,
            client: client.clone(),
            recorder: recorder.clone(),
            sim: sim.clone(),
        });
        let env = Arc::clone(client.env());
        let witness = Witness {
            states: client.state(),
            shared: Arc::downgrade(&shared),
            recorder: recorder.clone(),
            sim: sim.clone(),
            env: Arc::clone(&env),
            id,
            known: None,
        };
        env.spawn("recorder", Box::pin(witness.run()));
        Ok(Self {
            client,
            chroot: Chroot::none(),
            shared,
        })
    }

    /// Its number in the record.
    pub fn id(&self) -> ClientId {
        self.shared.id
    }

    /// The client itself. What is called on it is not written down.
    pub const fn bare(&self) -> &Client {
        &self.client
    }

    /// A watcher for this client, with room for `capacity` events.
    pub fn watcher(&self, capacity: usize) -> RecordedWatcher {
        RecordedWatcher::new(
            Watcher::with_capacity(capacity),
            self.shared.id,
            self.chroot.clone(),
            self.shared.recorder.clone(),
            self.shared.sim.clone(),
        )
    }

    /// As [`Client::chroot`].
    ///
    /// # Errors
    ///
    /// `path` is not valid.
    pub fn chroot(&self, path: &str) -> Result<Self, Error> {
        Ok(Self {
            client: self.client.chroot(path)?,
            chroot: self.chroot.join(path)?,
            shared: Arc::clone(&self.shared),
        })
    }

    /// As [`Client::with_deadline`].
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            client: self.client.with_deadline(deadline),
            ..self.clone()
        }
    }

    /// As [`Client::state`].
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.client.state()
    }

    /// As [`Client::session_id`].
    pub fn session_id(&self) -> SessionId {
        self.client.session_id()
    }

    /// As [`Client::epoch`].
    pub fn epoch(&self) -> Epoch {
        self.client.epoch()
    }

    /// As [`Client::ready`].
    ///
    /// # Errors
    ///
    /// The client is terminal.
    pub async fn ready(&self) -> Result<(), Error> {
        self.client.ready().await
    }

    /// As [`Client::transaction`].
    pub fn transaction(&self) -> RecordedTransaction<'_> {
        RecordedTransaction::new(self)
    }

    /// As [`Client::close`]. What became of it is not written down: the server's log
    /// tells.
    ///
    /// # Errors
    ///
    /// As [`Client::close`].
    pub async fn close(&self) -> Result<(), Error> {
        self.client.close().await
    }

    pub(super) fn leaves_watch(&self, watcher: &RecordedWatcher) {
        self.shared.recorder.leaves_watch(watcher.id);
    }

    pub(super) fn on_server(&self, path: &str) -> String {
        match path {
            "" => String::new(),
            path => self.chroot.to_server(path).into_owned(),
        }
    }

    pub(super) fn reply<T>(
        &self,
        reply: Reply<T>,
        op: OpCode,
        path: &str,
        answer: fn(&T, &About) -> Outcome,
    ) -> Recorded<Reply<T>, T> {
        let xid = reply.xid();
        self.record(reply, xid, op, path, 1, answer)
    }

    pub(super) fn record<F, T>(
        &self,
        future: F,
        xid: Option<Xid>,
        op: OpCode,
        path: &str,
        ops: usize,
        answer: fn(&T, &About) -> Outcome,
    ) -> Recorded<F, T> {
        let Shared {
            id, recorder, sim, ..
        } = &*self.shared;
        let about = About {
            path: self.on_server(path),
            chroot: self.chroot.clone(),
            ops,
        };
        // Credentials share a number, which names nothing.
        let xid = xid.filter(|_| op != OpCode::Auth);
        let now = sim.elapsed();
        let index = recorder.called(*id, xid, op, about.path.clone(), now);
        let book = (recorder.clone(), sim.clone());
        Recorded::new(future, (index, now), book, about, answer)
    }
}

/// Writes down the states of a session until there is none any more. It does not keep
/// the client open.
struct Witness {
    states: watch::Receiver<SessionState>,
    shared: Weak<Shared>,
    recorder: Recorder,
    sim: Sim,
    env: Arc<dyn Env>,
    id: ClientId,
    /// The epoch whose session has been written down.
    known: Option<Epoch>,
}

impl Witness {
    async fn run(mut self) {
        loop {
            let state = *self.states.borrow_and_update();
            self.see(state);
            if self.states.changed().await.is_err() {
                return;
            }
        }
    }

    fn see(&mut self, state: SessionState) {
        let at = self.sim.elapsed();
        self.recorder.see(StateSeen {
            at,
            boot: self.env.boot_now(),
            client: self.id,
            state,
        });
        let epoch = match state {
            SessionState::Connected { epoch } => epoch,
            // A read-only session's id is the server's alone, until it is exchanged.
            SessionState::ConnectedReadOnly { .. }
            | SessionState::Connecting
            | SessionState::Suspended { .. }
            | SessionState::Expired { .. }
            | SessionState::AuthFailed
            | SessionState::Closed => return,
        };
        if self.known != Some(epoch)
            && let Some(shared) = self.shared.upgrade()
        {
            self.known = Some(epoch);
            self.recorder.had(SessionSeen {
                at,
                client: self.id,
                epoch,
                session: shared.client.session_id(),
            });
        }
    }
}
