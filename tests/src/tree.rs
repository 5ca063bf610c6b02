//! Everything that one server has, read by a client: to compare servers with one another, and
//! with what was written.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use zk_client::{Acl, Client, Error, Stat};
use zk_proto::path;

/// Znodes asked for at once: far fewer than a client may have on the wire.
const AT_ONCE: usize = 100;

/// A znode as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data.
    pub data: Vec<u8>,
    /// Who may do what.
    pub acl: Vec<Acl>,
    /// Its metadata.
    pub stat: Stat,
}

/// Every znode by its path, but for those below `/zookeeper`, which each server may fill for
/// itself.
pub type Tree = BTreeMap<String, Znode>;

/// Reads everything that the client's server has. What changes meanwhile may be read half
/// changed; a znode that goes meanwhile is an error.
///
/// # Errors
///
/// The first answer that is one.
pub async fn read_tree(client: &Client) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    let mut paths = vec![String::from("/")];
    while !paths.is_empty() {
        let mut below = Vec::new();
        for paths in paths.chunks(AT_ONCE) {
            let reads = paths.iter().map(|path| read_znode(client, path));
            for (path, (znode, children)) in paths.iter().zip(try_join_all(reads).await?) {
                below.extend(children.iter().map(|child| path::join(path, child)));
                tree.insert(path.clone(), znode);
            }
        }
        below.retain(|path| path != "/zookeeper");
        paths = below;
    }
    Ok(tree)
}

async fn read_znode(client: &Client, path: &str) -> Result<(Znode, Vec<String>), Error> {
    let (data, acl, children) = (
        client.get_data(path, None),
        client.get_acl(path),
        client.get_children(path, None),
    );
    let (data, stat) = data.await?;
    let (acl, _) = acl.await?;
    let znode = Znode {
        data: data.into(),
        acl,
        stat,
    };
    Ok((znode, children.await?))
}

/// The first few differences between what two servers have, for people.
pub fn differences(left: &Tree, right: &Tree) -> Vec<String> {
    const ENOUGH: usize = 10;
    let paths = left
        .keys()
        .chain(right.keys().filter(|path| !left.contains_key(*path)));
    let different = paths.filter(|path| left.get(*path) != right.get(*path));
    let told =
        different.map(|path| format!("{path}: {:?} and {:?}", left.get(path), right.get(path)));
    told.take(ENOUGH).collect()
}
