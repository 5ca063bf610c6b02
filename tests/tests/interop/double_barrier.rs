//! In together, out together.

use zk_recipes::{Dialect, DoubleBarrier};

use super::*;

const PATH: &str = "/barrier";

/// Whoever comes last opens it, whoever leaves last closes it. Twice, as what one party
/// leaves behind is what the next one finds.
async fn goes_together(library: Library, dialect: Dialect) {
    let both = Both::start(library).await;
    let builder = DoubleBarrier::builder(&both.client, PATH, 2);
    let barrier = builder.dialect(dialect).build().unwrap();
    let theirs = both.peer.handle("b");
    let enter = format!("enter barrier {PATH} 2");

    theirs.tell(&enter).await;
    both.until_count(PATH, 1).await;
    both.assert_waits(&theirs).await;
    let inside = within("the party", barrier.enter()).await.unwrap();
    theirs.done().await;
    theirs.tell("leave").await;
    both.assert_waits(&theirs).await;
    within("the leaving", inside.leave()).await.unwrap();
    theirs.done().await;
    both.until_count(PATH, 0).await;

    let mut entering = Box::pin(barrier.enter());
    both.assert_pending(entering.as_mut()).await;
    theirs.ask(&enter).await;
    let inside = within("the party", entering).await.unwrap();
    let mut leaving = Box::pin(inside.leave());
    both.assert_pending(leaving.as_mut()).await;
    theirs.tell("leave").await;
    within("the leaving", leaving).await.unwrap();
    theirs.done().await;
}

#[tokio::test]
async fn curator_goes_together() {
    goes_together(Library::Curator, Dialect::Curator).await;
}

#[tokio::test]
async fn kazoo_goes_together() {
    goes_together(Library::Kazoo, Dialect::Kazoo).await;
}
