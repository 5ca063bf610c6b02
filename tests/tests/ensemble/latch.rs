//! Terms of leadership, each of which leaves its mark.

use std::sync::{Arc, Mutex as Locked};
use std::time::Duration;

use zk_client::{CreateMode, OpResult};
use zk_env::TaskHandle;
use zk_recipes::{FencingToken, LeaderLatch, Term};

use crate::stage::{Owners, Part, Stage};

const LATCH: &str = "/leader";
const MARK: &str = "/term";
const PARTICIPANTS: usize = 3;

/// The version of the mark, and the token it was made under.
type Marks = Arc<Locked<Vec<(i32, FencingToken)>>>;

pub(crate) struct Elections {
    marks: Marks,
    participants: Vec<TaskHandle>,
}

impl Elections {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let client = stage.client().await;
        let created = client.create(MARK, b"", CreateMode::Persistent);
        created.await.unwrap();
        let (marks, owners) = (Marks::default(), Arc::<Owners>::default());
        let mut participants = Vec::new();
        for number in 0..PARTICIPANTS {
            let (marks, owners) = (Arc::clone(&marks), Arc::clone(&owners));
            let stand = move |part| stand(part, number, marks, owners);
            participants.push(stage.spawn(stand).await);
        }
        Self {
            marks,
            participants,
        }
    }

    pub(crate) fn progress(&self) -> usize {
        self.marks.lock().unwrap().len()
    }

    /// After the end: no leader left a mark after its successor had left one.
    pub(crate) async fn verify(self) -> String {
        for participant in self.participants {
            participant.await;
        }
        let mut marks = self.marks.lock().unwrap();
        marks.sort_unstable();
        for pair in marks.windows(2) {
            assert!(pair[0].1 < pair[1].1, "a mark of an earlier term: {pair:?}");
        }
        format!("{} terms", marks.len())
    }
}

/// One term after another; what a term is lost by does not matter here.
async fn stand(part: Part, number: usize, marks: Marks, owners: Arc<Owners>) {
    let latch = LeaderLatch::builder(&part.client, LATCH).id(number.to_string());
    let latch = match latch.build() {
        Ok(latch) => latch,
        Err(error) => return part.violation(error),
    };
    while !part.is_over() {
        let term = latch.lead(async |term| leave_mark(&part, &term, &marks, &owners).await);
        if term.await.is_err() {
            part.pause(Duration::from_millis(50)).await;
        }
    }
    if let Err(error) = part.client.close().await {
        part.violation(error);
    }
}

async fn leave_mark(part: &Part, term: &Term, marks: &Marks, owners: &Owners) {
    owners.add(part, term.ownership());
    part.pause(Duration::from_millis(20)).await;
    let token = term.fencing_token();
    let mark = term.transaction().set_data(MARK, token.to_string(), None);
    if let Ok(results) = mark.commit().await
        && let [OpResult::SetData(stat)] = results[..]
    {
        marks.lock().unwrap().push((stat.version, token));
    }
}
