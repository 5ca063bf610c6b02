//! Digest credentials: presented before everything else on every connection (C26), and
//! znodes that only they open (S04, S05).

use zk_client::{Acl, AclId, CreateMode, CreateOptions, Error, ErrorCode, Perms};
use zk_env::BoxFuture;

use super::clients::{bears, builder, close, connect, establish, hosts, ms, settle};
use crate::history::RecordedClient;
use crate::runner::{Stage, Workload};

/// Who has credentials.
const WORKERS: usize = 2;
const ROOT: &str = "/credentials";

/// Owners of znodes that nobody else may read, and who try to.
#[derive(Debug)]
pub(super) struct Credentials;

impl Workload for Credentials {
    fn name(&self) -> &'static str {
        "credentials"
    }

    fn hosts(&self) -> Vec<String> {
        hosts("credentials", WORKERS)
    }

    fn worker(&self, stage: Stage) -> BoxFuture<()> {
        Box::pin(async move { work(&stage).await })
    }
}

async fn work(stage: &Stage) {
    let user = stage.host().to_owned();
    let password = format!("{user}:secret");
    let with_password = || builder(stage).auth("digest", &password);
    let Some(owner) = connect(stage, with_password).await else {
        return;
    };
    let Some(stranger) = connect(stage, || builder(stage)).await else {
        return close(owner).await;
    };
    let path = format!("{ROOT}/{user}");
    if establish(stage, &owner, ROOT).await {
        while stage.goes_on() {
            own(stage, &owner, &path, &user).await;
            intrude(stage, &stranger, &path).await;
            tighten(stage, &owner, &stranger, &user).await;
            stage.pause(ms(50, 500)).await;
        }
    }
    close(stranger).await;
    close(owner).await;
}

fn only(user: &str) -> Vec<Acl> {
    vec![Acl::new(Perms::ALL, AclId::digest(user, "secret"))]
}

/// The owner is never told that it may not.
async fn own(stage: &Stage, owner: &RecordedClient, path: &str, user: &str) {
    let options = CreateOptions::from(CreateMode::Persistent).with_acl(only(user));
    let created = owner.create(path, b"mine", options);
    let read = owner.get_data(path, None);
    for error in [created.await.map(drop).err(), read.await.map(drop).err()]
        .into_iter()
        .flatten()
    {
        if error.code() == Some(ErrorCode::NoAuth) {
            stage.fail(format!("{path}: its owner is refused"));
        } else {
            bears(stage, path, &error);
        }
    }
    stage.progress("own");
}

/// Everybody else always is.
async fn intrude(stage: &Stage, stranger: &RecordedClient, path: &str) {
    match stranger.get_data(path, None).await {
        Ok(_) => stage.fail(format!("{path}: a stranger reads it")),
        Err(error) => {
            bears(stage, path, &error);
        }
    }
}

/// A stranger watches what it may read until the owner forbids it; then it hears no
/// more of it.
async fn tighten(stage: &Stage, owner: &RecordedClient, stranger: &RecordedClient, user: &str) {
    let path = format!("{ROOT}/open-{user}");
    let heard = stranger.watcher(8);
    let opened = async {
        match owner.delete(&path, None).await {
            Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error),
            _ => {}
        }
        owner.create(&path, b"", CreateMode::Persistent).await?;
        stranger.get_data(&path, Some(&heard)).await?;
        owner.set_acl(&path, only(user), None).await?;
        owner.set_data(&path, b"secret", None).await?;
        Ok::<(), Error>(())
    };
    if settle(stage, &path, opened.await).is_some() {
        // The event, if there were one, came before this answer.
        let refused = stranger.get_data(&path, None).await;
        settle(stage, &path, refused.map(drop));
        if let Some(event) = heard.try_next()
            && event.zxid.is_some()
        {
            stage.fail(format!("{path}: a stranger hears {event:?}"));
        }
        stage.progress("tighten");
    }
}
