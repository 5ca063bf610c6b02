//! The operations, each as the client has it.

use bytes::Bytes;
use zk_client::{
    Acl, AddWatchMode, ClientInfo, CreateMode, CreateOptions, MultiRead, ReadResult, Reconfig,
    Reply, Stat, Watcher, WatcherType,
};
use zk_proto::OpCode;

use super::{Recorded, RecordedClient, RecordedWatcher, answer};

/// What an operation gives.
type Answered<T> = Recorded<Reply<T>, T>;

impl<T> Answered<T> {
    /// Writes down for whom it was to leave a watch.
    fn watched_by(self, client: &RecordedClient, watcher: Option<&RecordedWatcher>) -> Self {
        if let Some(watcher) = watcher {
            client.leaves_watch(watcher);
        }
        self
    }
}

fn inside(watcher: Option<&RecordedWatcher>) -> Option<&Watcher> {
    watcher.map(|watcher| &watcher.watcher)
}

impl RecordedClient {
    /// As [`zk_client::Client::create`].
    ///
    /// # Panics
    ///
    /// If the mode is a container's or has a time to live: what the server answers
    /// to those is more than this method tells. Use [`create2`](Self::create2).
    pub fn create(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Answered<String> {
        let options = options.into();
        match options.mode() {
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential => {}
            CreateMode::Container
            | CreateMode::PersistentWithTtl(_)
            | CreateMode::PersistentSequentialWithTtl(_) => {
                panic!("a workload calls create2 for {:?}", options.mode())
            }
        }
        let op = options.mode().op_code(false);
        let reply = self.bare().create(path, data, options);
        self.reply(reply, op, path, answer::created)
    }

    /// As [`zk_client::Client::create2`].
    pub fn create2(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        options: impl Into<CreateOptions>,
    ) -> Answered<(String, Stat)> {
        let options = options.into();
        let op = options.mode().op_code(true);
        let reply = self.bare().create2(path, data, options);
        self.reply(reply, op, path, answer::created2)
    }

    /// As [`zk_client::Client::delete`].
    pub fn delete(&self, path: &str, version: impl Into<Option<i32>>) -> Answered<()> {
        let reply = self.bare().delete(path, version);
        self.reply(reply, OpCode::Delete, path, answer::empty)
    }

    /// As [`zk_client::Client::set_data`].
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Option<i32>>,
    ) -> Answered<Stat> {
        let reply = self.bare().set_data(path, data, version);
        self.reply(reply, OpCode::SetData, path, answer::data_set)
    }

    /// As [`zk_client::Client::set_acl`].
    pub fn set_acl(
        &self,
        path: &str,
        acl: Vec<Acl>,
        version: impl Into<Option<i32>>,
    ) -> Answered<Stat> {
        let reply = self.bare().set_acl(path, acl, version);
        self.reply(reply, OpCode::SetAcl, path, answer::acl_set)
    }

    /// As [`zk_client::Client::reconfig`].
    pub fn reconfig(
        &self,
        change: &Reconfig,
        config_version: impl Into<Option<i64>>,
    ) -> Answered<(Bytes, Stat)> {
        let reply = self.bare().reconfig(change, config_version);
        self.reply(reply, OpCode::Reconfig, "/zookeeper/config", answer::data)
    }

    /// As [`zk_client::Client::exists`].
    pub fn exists(&self, path: &str, watch: Option<&RecordedWatcher>) -> Answered<Option<Stat>> {
        let reply = self.bare().exists(path, inside(watch));
        self.reply(reply, OpCode::Exists, path, answer::found)
            .watched_by(self, watch)
    }

    /// As [`zk_client::Client::get_data`].
    pub fn get_data(&self, path: &str, watch: Option<&RecordedWatcher>) -> Answered<(Bytes, Stat)> {
        let reply = self.bare().get_data(path, inside(watch));
        self.reply(reply, OpCode::GetData, path, answer::data)
            .watched_by(self, watch)
    }

    /// As [`zk_client::Client::get_children`].
    pub fn get_children(
        &self,
        path: &str,
        watch: Option<&RecordedWatcher>,
    ) -> Answered<Vec<String>> {
        let reply = self.bare().get_children(path, inside(watch));
        self.reply(reply, OpCode::GetChildren, path, answer::children)
            .watched_by(self, watch)
    }

    /// As [`zk_client::Client::get_children2`].
    pub fn get_children2(
        &self,
        path: &str,
        watch: Option<&RecordedWatcher>,
    ) -> Answered<(Vec<String>, Stat)> {
        let reply = self.bare().get_children2(path, inside(watch));
        self.reply(reply, OpCode::GetChildren2, path, answer::children2)
            .watched_by(self, watch)
    }

    /// As [`zk_client::Client::get_all_children_number`].
    pub fn get_all_children_number(&self, path: &str) -> Answered<i32> {
        let reply = self.bare().get_all_children_number(path);
        self.reply(reply, OpCode::GetAllChildrenNumber, path, answer::number)
    }

    /// As [`zk_client::Client::get_ephemerals`]. Of a chroot's handle the answer lacks
    /// what lies outside, and would not be what the server sent: call it on the
    /// handle without.
    pub fn get_ephemerals(&self, prefix: &str) -> Answered<Vec<String>> {
        let reply = self.bare().get_ephemerals(prefix);
        self.reply(reply, OpCode::GetEphemerals, prefix, answer::ephemerals)
    }

    /// As [`zk_client::Client::get_acl`].
    pub fn get_acl(&self, path: &str) -> Answered<(Vec<Acl>, Stat)> {
        let reply = self.bare().get_acl(path);
        self.reply(reply, OpCode::GetAcl, path, answer::acl)
    }

    /// As [`zk_client::Client::sync`].
    pub fn sync(&self, path: &str) -> Answered<()> {
        let reply = self.bare().sync(path);
        self.reply(reply, OpCode::Sync, path, answer::synced)
    }

    /// As [`zk_client::Client::who_am_i`].
    pub fn who_am_i(&self) -> Answered<Vec<ClientInfo>> {
        let reply = self.bare().who_am_i();
        self.reply(reply, OpCode::WhoAmI, "", answer::identities)
    }

    /// As [`zk_client::Client::add_auth`].
    pub fn add_auth(&self, scheme: &str, auth: impl AsRef<[u8]>) -> Answered<()> {
        let reply = self.bare().add_auth(scheme, auth);
        self.reply(reply, OpCode::Auth, "", answer::empty)
    }

    /// As [`zk_client::Client::add_watch`].
    pub fn add_watch(
        &self,
        path: &str,
        mode: AddWatchMode,
        watcher: &RecordedWatcher,
    ) -> Answered<()> {
        let reply = self.bare().add_watch(path, mode, &watcher.watcher);
        self.reply(reply, OpCode::AddWatch, path, answer::watch_added)
            .watched_by(self, Some(watcher))
    }

    /// As [`zk_client::Client::remove_watches`].
    pub fn remove_watches(&self, path: &str, which: WatcherType) -> Answered<()> {
        let reply = self.bare().remove_watches(path, which);
        self.reply(reply, OpCode::RemoveWatches, path, answer::empty)
    }

    /// As [`zk_client::Client::check_watches`].
    pub fn check_watches(&self, path: &str, which: WatcherType) -> Answered<()> {
        let reply = self.bare().check_watches(path, which);
        self.reply(reply, OpCode::CheckWatches, path, answer::empty)
    }

    /// As [`zk_client::Client::multi_read`]: `collect` adds the reads.
    pub fn multi_read<'c>(
        &'c self,
        collect: impl FnOnce(MultiRead<'c>) -> MultiRead<'c>,
    ) -> Answered<Vec<ReadResult>> {
        let reply = collect(self.bare().multi_read()).send();
        self.reply(reply, OpCode::MultiRead, "", answer::read)
    }
}
