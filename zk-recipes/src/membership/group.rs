//! Who is there, with what each says of itself.
//!
//! ```text
//! Curator               <path>/<id>                        ephemeral, data: the payload
//! kazoo Party           <path>/<32 hex>__party__           ephemeral, data: the id
//! kazoo ShallowParty    <path>/<32 hex>-<id>               ephemeral, data: the payload
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use zk_client::{Acl, Client, ProtectedId, Zxid};
use zk_env::TaskHandle;
use zk_proto::path;

use super::persistent_node::{NodeState, PersistentNode};
use crate::error::Error;
use crate::parents::Parents;
use crate::watch::{Change, Depth, Subscription, Update, Znode};

/// kazoo's `Party` marks its members so.
const PARTY: &str = "__party__";

/// Digits of the id in kazoo's names.
const HEX: usize = 32;

/// Whose names the members carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupLayout {
    /// Curator's `GroupMember`: the id is the name, so that ids are unique.
    #[default]
    Curator,
    /// kazoo's `Party`: the data is the id, so that there is no other payload.
    KazooParty,
    /// kazoo's `ShallowParty`: the id is part of the name.
    KazooShallowParty,
}

/// One who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As it calls itself; unique in Curator's layout.
    pub id: String,
    /// What it says of itself. Of kazoo's `Party`, the id.
    pub payload: Bytes,
    /// The name of its znode; unique.
    pub name: String,
    /// When it joined. The lowest is the eldest.
    pub joined: Zxid,
}

/// The members, by the names of their znodes.
pub type Members = Arc<BTreeMap<String, Member>>;

/// What happens in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// It has come, or was there at the start.
    Joined(Member),
    /// It has another payload.
    Updated(Member),
    /// It has gone.
    Left(Member),
}

impl GroupLayout {
    /// The name of a new member's znode.
    fn name(self, client: &Client, id: &str) -> String {
        match self {
            Self::Curator => id.to_owned(),
            Self::KazooParty => ProtectedId::kazoo(client).prefix(PARTY),
            Self::KazooShallowParty => format!("{}-{id}", ProtectedId::kazoo(client)),
        }
    }

    const fn parents(self) -> Parents {
        match self {
            Self::Curator => Parents::Reaped,
            Self::KazooParty | Self::KazooShallowParty => Parents::Lasting,
        }
    }

    fn data(self, id: &str, payload: Bytes) -> Bytes {
        match self {
            Self::Curator | Self::KazooShallowParty => payload,
            Self::KazooParty => Bytes::copy_from_slice(id.as_bytes()),
        }
    }

    /// The member whose znode has this name; `None` if it is no member's.
    fn member(self, name: &str, znode: &Znode) -> Option<Member> {
        let id = match self {
            Self::Curator => name.to_owned(),
            Self::KazooParty => {
                let id = name.strip_suffix(PARTY);
                id.filter(|hex| hex.len() == HEX)?;
                String::from_utf8_lossy(&znode.data).into_owned()
            }
            Self::KazooShallowParty => {
                let (_, id) = name.split_at_checked(HEX)?;
                id.strip_prefix('-')?.to_owned()
            }
        };
        Some(Member {
            id,
            payload: znode.data.clone(),
            name: name.to_owned(),
            joined: znode.stat.czxid,
        })
    }
}

/// A membership, and a view of the group. Dropping it leaves the group in the background.
///
/// What is shown is what the server says, oneself included: one's own znode may be missing while
/// one's session is in doubt, and [`own`](Self::own) says so.
///
/// | | |
/// |---|---|
/// | who wins | an id that is taken by a member with another payload, or by a later one: `Taken`, until it goes |
/// | its own previous znode | taken over by one transaction: nobody sees the member missing |
/// | connection lost | the view stays as it is; afterwards the difference is told |
/// | session expired | the others see it leave; it joins again in the next session |
/// | cancelled, or a lost reply | nothing is doubled; of kazoo's layouts what may be is found by its name |
/// | token | none: being there is no ownership |
///
/// ```no_run
/// # async fn example(client: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::GroupMembership;
/// let group = GroupMembership::join(&client, "/workers", "host-7", "10.0.0.7:8080").await?;
/// let mut members = group.members();
/// while members.changed().await.is_ok() {
///     println!("{} members", members.borrow_and_update().len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct GroupMembership {
    own: Option<PersistentNode>,
    layout: GroupLayout,
    path: String,
    client: Client,
    members: watch::Receiver<Members>,
    /// Set before `members` ends.
    ended: Arc<OnceLock<Error>>,
    task: TaskHandle,
}

impl GroupMembership {
    /// Joins the group at `path`, in Curator's layout, and waits until it is seen there.
    ///
    /// # Errors
    ///
    /// As [`GroupMembershipBuilder::join`].
    pub async fn join(
        client: &Client,
        path: &str,
        id: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        Self::builder(client, path).join(id, payload).await
    }

    /// The group at `path`.
    pub fn builder(client: &Client, path: &str) -> GroupMembershipBuilder {
        GroupMembershipBuilder {
            client: client.clone(),
            path: path.to_owned(),
            layout: GroupLayout::default(),
            acl: None,
        }
    }

    /// The members, as a value that can be read, awaited, and not missed. It ends with this, or
    /// when it follows the server no longer: [`error`](Self::error) says why.
    pub fn members(&self) -> watch::Receiver<Members> {
        self.members.clone()
    }

    /// Why the members are followed no longer.
    pub fn error(&self) -> Option<Error> {
        self.ended.get().cloned()
    }

    /// Who comes and goes, those who are there first. Slow consumers miss those who came and
    /// went in between.
    ///
    /// # Errors
    ///
    /// The path is not valid.
    pub fn events(&self) -> Result<MemberEvents, Error> {
        MemberEvents::start(&self.client, &self.path, self.layout)
    }

    /// How one's own znode stands; `None` for who only looks.
    pub fn own(&self) -> Option<watch::Receiver<NodeState>> {
        self.own.as_ref().map(PersistentNode::state)
    }

    /// Changes one's own payload. Of quick successive changes the last is written.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for who only looks, and in kazoo's `Party`, where the id is the data.
    pub fn set_payload(&self, payload: impl Into<Bytes>) -> Result<(), Error> {
        match (&self.own, self.layout) {
            (Some(own), GroupLayout::Curator | GroupLayout::KazooShallowParty) => {
                own.set_data(payload);
                Ok(())
            }
            (None, _) => Err(Error::invalid("payload", "only a member has one")),
            (_, GroupLayout::KazooParty) => Err(Error::invalid(
                "payload",
                "a party's members have an id alone",
            )),
        }
    }

    /// Leaves the group, and waits until that is proven.
    ///
    /// # Errors
    ///
    /// As [`PersistentNode::leave`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it goes on in the background.
    pub async fn leave(mut self) -> Result<(), Error> {
        match self.own.take() {
            Some(own) => own.leave().await,
            None => Ok(()),
        }
    }
}

impl Drop for GroupMembership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Options of a [`GroupMembership`].
#[derive(Clone, Debug)]
#[must_use = "call `join` or `look`"]
pub struct GroupMembershipBuilder {
    client: Client,
    path: String,
    layout: GroupLayout,
    acl: Option<Vec<Acl>>,
}

impl GroupMembershipBuilder {
    /// Whose names the members carry. Default: Curator's.
    pub const fn layout(mut self, layout: GroupLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The ACL of one's own znode; whoever looks needs READ. Default: open.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// Joins as `id`, and waits until the znode is there.
    ///
    /// # Errors
    ///
    /// `NameTaken` if another member has the id; `InvalidArgument` for an id that cannot be
    /// (part of) a name; `Client` for what waiting does not cure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the group in the background.
    pub async fn join(self, id: &str, payload: impl Into<Bytes>) -> Result<GroupMembership, Error> {
        if id.is_empty() || id.contains('/') {
            return Err(Error::invalid("id", "it is empty or has a slash"));
        }
        let name = self.layout.name(&self.client, id);
        let data = self.layout.data(id, payload.into());
        let own = PersistentNode::builder(&self.client, &path::join(&self.path, &name), data);
        let own = own.parents(self.layout.parents());
        let own = match self.acl.clone() {
            Some(acl) => own.acl(acl),
            None => own,
        };
        let own = own.build()?;
        own.first_seen().await?;
        let mut group = self.look().await?;
        group.own = Some(own);
        Ok(group)
    }

    /// Looks at the group without joining it, once it has been read.
    ///
    /// # Errors
    ///
    /// The path is not valid, or may not be read.
    pub async fn look(self) -> Result<GroupMembership, Error> {
        let mut events = MemberEvents::start(&self.client, &self.path, self.layout)?;
        events.load().await?;
        let (sender, members) = watch::channel(events.members());
        let ended = Arc::new(OnceLock::new());
        let why = Arc::clone(&ended);
        let following = async move {
            while let Ok(()) = events.load().await.map_err(|error| why.set(error)) {
                sender.send_replace(events.members());
                events.told.clear();
            }
        };
        Ok(GroupMembership {
            own: None,
            layout: self.layout,
            path: self.path,
            task: self
                .client
                .env()
                .spawn("zk-recipes-group", Box::pin(following)),
            client: self.client,
            members,
            ended,
        })
    }
}

/// Who comes and goes; made by [`GroupMembership::events`].
#[derive(Debug)]
pub struct MemberEvents {
    subscription: Subscription,
    path: String,
    layout: GroupLayout,
    members: BTreeMap<String, Member>,
    told: VecDeque<MemberEvent>,
}

impl MemberEvents {
    fn start(client: &Client, path: &str, layout: GroupLayout) -> Result<Self, Error> {
        let subscription = Subscription::builder(client, path).depth(Depth::Children);
        Ok(Self {
            subscription: subscription.build()?,
            path: path.to_owned(),
            layout,
            members: BTreeMap::new(),
            told: VecDeque::new(),
        })
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// None will come any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<MemberEvent, Error> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Ok(event);
            }
            self.load().await?;
        }
    }

    /// The events as a stream, which ends after its first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<MemberEvent, Error>> + Send {
        unfold(Some(self), async |events| {
            let mut events = events?;
            let event = events.next().await;
            let rest = event.is_ok().then_some(events);
            Some((event, rest))
        })
    }

    fn members(&self) -> Members {
        Arc::new(self.members.clone())
    }

    /// Takes one update over.
    async fn load(&mut self) -> Result<(), Error> {
        match self.subscription.next().await? {
            Update::Snapshot { znodes, .. } => {
                let gone: Vec<String> = self.members.keys().cloned().collect();
                let gone = gone
                    .into_iter()
                    .filter(|name| !znodes.contains_key(&path::join(&self.path, name)));
                for name in gone.collect::<Vec<_>>() {
                    self.set(&name, None);
                }
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
        let member = znode.and_then(|znode| self.layout.member(name, znode));
        self.set(name, member);
    }

    /// A member that was taken over has not left: its payload may have changed.
    fn set(&mut self, name: &str, member: Option<Member>) {
        let event = match member {
            None => match self.members.remove(name) {
                Some(gone) => MemberEvent::Left(gone),
                None => return,
            },
            Some(member) => match self.members.insert(name.to_owned(), member.clone()) {
                Some(before) if before == member => return,
                Some(_) => MemberEvent::Updated(member),
                None => MemberEvent::Joined(member),
            },
        };
        self.told.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Stat;

    use super::*;

    #[test]
    fn members_are_told_by_their_names() {
        let hex = "6f5902ac237e4b0b8ac61fb0d5f6a1e8";
        let znode = Znode {
            data: Bytes::from_static(b"me"),
            stat: Stat::default(),
        };
        let id = |layout: GroupLayout, name: &str| {
            let member = layout.member(name, &znode);
            member.map(|member| member.id)
        };
        assert_eq!(id(GroupLayout::Curator, "host"), Some("host".into()));
        let party = format!("{hex}__party__");
        assert_eq!(id(GroupLayout::KazooParty, &party), Some("me".into()));
        assert_eq!(id(GroupLayout::KazooParty, "x__party__"), None);
        let shallow = format!("{hex}-host-7");
        let own = id(GroupLayout::KazooShallowParty, &shallow);
        assert_eq!(own, Some("host-7".into()));
        assert_eq!(id(GroupLayout::KazooShallowParty, &party), None);
        assert_eq!(id(GroupLayout::KazooShallowParty, "é"), None);
    }
}
