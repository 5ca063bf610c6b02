//! The workers of a run: started, started anew after a kill, awaited.

use std::sync::Arc;

use zk_env::{BoxFuture, TaskHandle};

use super::script::{Script, WorkerId};
use super::{Stage, Workload};

/// One worker and the task that is its latest start.
struct Member {
    workload: Arc<dyn Workload>,
    id: WorkerId,
    task: Option<TaskHandle>,
}

/// All workers.
pub(super) struct Crew {
    script: Arc<Script>,
    members: Vec<Member>,
}

impl Crew {
    /// Starts every worker of every workload.
    pub(super) fn start(script: &Arc<Script>, workloads: &[Arc<dyn Workload>]) -> Self {
        let mut crew = Self {
            script: Arc::clone(script),
            members: Vec::new(),
        };
        for workload in workloads {
            for host in workload.hosts() {
                crew.add(workload, &host);
            }
        }
        for member in &mut crew.members {
            member.start(script);
        }
        crew
    }

    fn add(&mut self, workload: &Arc<dyn Workload>, host: &str) {
        let id = WorkerId {
            workload: workload.name(),
            host: host.into(),
            start: 0,
        };
        self.script.expect_progress(&id);
        self.members.push(Member {
            workload: Arc::clone(workload),
            id,
            task: None,
        });
    }

    /// Starts the workers of `host` anew, of which a kill has left nothing.
    pub(super) fn restart(&mut self, host: &str) {
        let killed = self.members.iter_mut().filter(|m| *m.id.host == *host);
        for member in killed {
            member.start(&self.script);
        }
    }

    /// Waits until every worker has ended.
    pub(super) async fn ended(&mut self) {
        for member in &mut self.members {
            if let Some(task) = &mut member.task {
                task.await;
            }
            member.task = None;
        }
    }

    /// Those that have not ended.
    pub(super) fn at_work(&self) -> Vec<String> {
        let is_at_work = |m: &&Member| m.task.as_ref().is_some_and(|task| !task.is_finished());
        let working = self.members.iter().filter(is_at_work);
        working
            .map(|m| format!("{} on {}", m.id.workload, m.id.host))
            .collect()
    }
}

impl Member {
    fn start(&mut self, script: &Arc<Script>) {
        let stage = Stage::new(Arc::clone(script), Some(self.id.clone()), &self.id.host);
        self.id.start += 1;
        let worker = self.workload.worker(stage.clone());
        self.task = Some(stage.env().spawn("worker", worker));
    }
}

/// Lets every workload look at what is left, one after the other.
pub(super) async fn verify(script: &Arc<Script>, workloads: &[Arc<dyn Workload>]) {
    for workload in workloads {
        let stage = Stage::new(Arc::clone(script), None, super::VERIFIER);
        let verification: BoxFuture<()> = workload.verify(stage.clone());
        stage.env().spawn("verify", verification).await;
    }
}
