//! No orphan znode after settling.

use zk_client::{Client, Error};
use zk_sim::runner::Stage;

use crate::recipes_sim::life::ms;

/// Waits until the client's reaper has settled; false if its session has ended meanwhile.
async fn settled(stage: &Stage, client: &Client) -> bool {
    let epoch = client.epoch();
    while client.guaranteed_deletes() > 0 {
        if client.epoch() != epoch || !client.state().borrow().is_connected() {
            return false;
        }
        stage.pause(ms(20, 60)).await;
    }
    client.epoch() == epoch
}

/// Looks for what an item's claim that was dropped gives back in a task of its own: an orphan is
/// still there at the last one.
const LOOKS: u32 = 50;

/// That a session that owns nothing, and wants nothing, has no ephemeral left once its client's
/// reaper has settled. A session that ends takes them along.
pub(crate) async fn nothing_left(stage: &Stage, client: &Client) {
    let epoch = client.epoch();
    if !settled(stage, client).await {
        return;
    }
    let mut looks = 0;
    let left = loop {
        let left: Result<Vec<String>, Error> = client.get_ephemerals("/").await;
        let Ok(left) = left else {
            return;
        };
        looks += 1;
        if left.is_empty() || looks == LOOKS {
            break left;
        }
        stage.pause(ms(20, 60)).await;
    };
    if !left.is_empty() && client.epoch() == epoch {
        let host = stage.host();
        stage.fail(format!("no orphans: {host} has left {left:?}"));
    }
    stage.env().probe().reached("recipes: looked for orphans");
}
