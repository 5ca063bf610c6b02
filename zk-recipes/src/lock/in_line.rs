//! Who has a lock, and who waits for it: for people, logs and metrics.

use bytes::Bytes;
use futures_util::future::join_all;
use zk_client::{Client, ErrorCode, RetryPolicy, SessionId};
use zk_proto::path;

use crate::decide::{Turn, decide};
use crate::error::Error;
use crate::layout::Layout;
use crate::ownership::FencingToken;

/// Attempts of a read; each is harmless to repeat.
const PATIENCE: RetryPolicy = RetryPolicy::new(10).for_idempotent();

/// Reads that are under way at a time.
const BATCH: usize = 64;

/// Somebody in line, as the server showed it for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InLine {
    /// Its znode.
    pub path: String,
    /// What it says of itself, by its builder's `data`; Curator's default is its address.
    pub data: Bytes,
    /// The session it belongs to.
    pub session: SessionId,
    /// The token of its ownership.
    pub token: FencingToken,
    /// Whether its turn had come when the children were read.
    pub is_owner: bool,
}

/// The children of `parent`, not older than the call; none without a parent.
pub(super) async fn children(client: &Client, parent: &str) -> Result<Vec<String>, Error> {
    let patient = client.retrying(PATIENCE);
    let children = patient.run(|client| {
        // The connected server may not know yet whom its caller has heard of.
        let sync = client.sync(parent);
        let children = client.get_children(parent, None);
        async move {
            sync.await?;
            children.await
        }
    });
    match children.await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
        children => Ok(children?),
    }
}

/// Those in line at `parent`, first come first; whoever leaves while they are read is left out.
pub(crate) async fn in_line(
    client: &Client,
    parent: &str,
    layout: &Layout,
) -> Result<Vec<InLine>, Error> {
    let children = children(client, parent).await?;
    let line = layout.contenders(&children).into_iter();
    let line: Vec<_> = line
        .map(|place| {
            (
                place.name,
                decide(&children, place.name, layout) == Turn::Mine,
            )
        })
        .collect();
    describe(client, parent, line).await
}

/// What the znodes of these names say, in this order. Asked for in batches: a long line does not
/// take as many round trips.
pub(super) async fn describe(
    client: &Client,
    parent: &str,
    names: Vec<(&str, bool)>,
) -> Result<Vec<InLine>, Error> {
    let mut described = Vec::with_capacity(names.len());
    for batch in names.chunks(BATCH) {
        let asked = batch.iter().map(|(name, is_owner)| {
            let path = path::join(parent, name);
            describe_one(client, path, *is_owner)
        });
        for one in join_all(asked).await {
            described.extend(one?);
        }
    }
    Ok(described)
}

async fn describe_one(
    client: &Client,
    path: String,
    is_owner: bool,
) -> Result<Option<InLine>, Error> {
    let patient = client.retrying(PATIENCE);
    match patient.run(|client| client.get_data(&path, None)).await {
        Ok((data, stat)) => Ok(Some(InLine {
            // A copy: the original pins the chunk it was received in.
            data: Bytes::copy_from_slice(&data),
            session: stat.ephemeral_owner,
            token: FencingToken::new(stat.czxid),
            is_owner,
            path,
        })),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
