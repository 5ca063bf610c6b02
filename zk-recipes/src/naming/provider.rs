//! Who offers a service, as everybody sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;
use zk_client::{Client, Zxid};
use zk_env::TaskHandle;
use zk_proto::path;

use super::instance::ServiceInstance;
use super::json;
use super::strategy::{Chooser, ProviderStrategy};
use crate::error::Error;
use crate::watch::{Change, Depth, Subscription, Update, Znode};

/// A znode of a service, read if it could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What it says, or what is wrong with that. Disabled ones are among these: a
    /// [`Chooser`] leaves them out.
    pub instance: Result<Arc<ServiceInstance>, Box<str>>,
    /// What it says, as it is.
    pub raw: Bytes,
    /// When its znode was created.
    pub czxid: Zxid,
}

/// All of a service, by the names of their znodes: the ids, but for sequential ones.
pub type ResolvedInstances = Arc<BTreeMap<String, Resolved>>;

/// A view of the instances of one service; made by
/// [`ServiceDiscovery::resolve`](super::ServiceDiscovery::resolve).
///
/// One that cannot be read is told as such, beside the others.
#[derive(Debug)]
pub struct ServiceProvider {
    client: Client,
    instances: watch::Receiver<ResolvedInstances>,
    /// Set before `instances` ends.
    ended: Arc<OnceLock<Error>>,
    task: TaskHandle,
}

impl ServiceProvider {
    /// Once the instances of the service at `path` have been read.
    pub(super) async fn start(client: &Client, path: &str) -> Result<Self, Error> {
        let subscription = Subscription::builder(client, path).depth(Depth::Children);
        let mut view = View {
            subscription: subscription.build()?,
            path: path.to_owned(),
            instances: BTreeMap::new(),
        };
        view.load().await?;
        let (sender, instances) = watch::channel(view.instances());
        let ended = Arc::new(OnceLock::new());
        let why = Arc::clone(&ended);
        let following = async move {
            while let Ok(()) = view.load().await.map_err(|error| why.set(error)) {
                sender.send_replace(view.instances());
            }
        };
        let task = client.env().spawn("zk-recipes-naming", Box::pin(following));
        Ok(Self {
            client: client.clone(),
            instances,
            ended,
            task,
        })
    }

    /// The instances, as a value that can be read, awaited, and not missed. It ends with this,
    /// or when it follows the server no longer: [`error`](Self::error) says why.
    pub fn instances(&self) -> watch::Receiver<ResolvedInstances> {
        self.instances.clone()
    }

    /// Why the instances are followed no longer.
    pub fn error(&self) -> Option<Error> {
        self.ended.get().cloned()
    }

    /// Chooses among those who are enabled.
    pub fn chooser(&self, strategy: ProviderStrategy) -> Chooser {
        let rng = self.client.env().rng("zk-recipes-naming");
        Chooser::new(strategy, self.instances(), rng)
    }
}

impl Drop for ServiceProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct View {
    subscription: Subscription,
    path: String,
    instances: BTreeMap<String, Resolved>,
}

impl View {
    fn instances(&self) -> ResolvedInstances {
        Arc::new(self.instances.clone())
    }

    /// Takes one update over.
    async fn load(&mut self) -> Result<(), Error> {
        match self.subscription.next().await? {
            Update::Snapshot { znodes, .. } => {
                self.instances.clear();
                for (path, znode) in znodes {
                    self.see(&path, Some(&znode));
                }
            }
            Update::Change {
                change: Change { path, after, .. },
                ..
            } => self.see(&path, after.as_deref()),
        }
        Ok(())
    }

    fn see(&mut self, path: &str, znode: Option<&Znode>) {
        if path == self.path {
            return;
        }
        let name = path::name(path);
        let Some(znode) = znode else {
            self.instances.remove(name);
            return;
        };
        let instance = json::read(&znode.data).map(Arc::new);
        if let Err(reason) = &instance {
            tracing::debug!(path, reason, "no instance of a service");
        }
        let resolved = Resolved {
            instance: instance.map_err(Into::into),
            raw: znode.data.clone(),
            czxid: znode.stat.czxid,
        };
        self.instances.insert(name.to_owned(), resolved);
    }
}
