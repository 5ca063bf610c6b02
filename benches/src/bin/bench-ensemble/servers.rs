//! Servers as processes: one that stands alone, or several that stand together.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark looks at clocks, and waits for processes that tell nothing"
)]

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zk_env::TokioEnv;
use zk_server::four_letter_word;

use crate::Result;
use crate::args::System;

/// For a server to serve: a virtual machine takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Lines of the log of a server that does not serve.
const TAIL: usize = 40;

/// The same for everybody. What matters: the log is synced, and the timeouts of an
/// ensemble are those of Apache's sample configuration.
const CONFIG: &str = "\
tickTime=2000
initLimit=10
syncLimit=5
forceSync=yes
maxClientCnxns=0
maxSessionTimeout=60000
clientPortAddress=127.0.0.1
4lw.commands.whitelist=*
admin.enableServer=false
";

/// A system's servers. Dropping them ends the processes and removes what they stored.
#[derive(Debug)]
pub(crate) struct Servers {
    system: System,
    dir: PathBuf,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    dir: PathBuf,
    client_addr: SocketAddr,
    process: Option<Child>,
}

impl Servers {
    /// Starts as many in directories of their own below `dir`, and waits until all serve.
    pub(crate) async fn start(system: &System, count: usize, dir: &Path) -> Result<Self> {
        let addrs = free_addrs(count * 3)?;
        let dir = dir.join(format!("zk-bench-{}", addrs[0].port()));
        let mut servers = Self {
            system: system.clone(),
            dir: dir.clone(),
            members: Vec::new(),
        };
        let mut list = String::new();
        for (id, addrs) in (1..=count).zip(addrs.chunks(3)) {
            let (quorum, election) = (addrs[0], addrs[1].port());
            if count > 1 {
                list += &format!("server.{id}={quorum}:{election}\n");
            }
        }
        for (id, addrs) in (1..=count).zip(addrs.chunks(3)) {
            let dir = dir.join(id.to_string());
            let data = dir.join("data");
            fs::create_dir_all(&data)?;
            fs::write(data.join("myid"), format!("{id}\n"))?;
            let (data, port) = (data.display(), addrs[2].port());
            let own = format!("dataDir={data}\nclientPort={port}\n");
            fs::write(dir.join("zoo.cfg"), format!("{CONFIG}{own}{list}"))?;
            servers.members.push(Member {
                dir,
                client_addr: addrs[2],
                process: None,
            });
            servers.launch(id)?;
        }
        servers.wait_until_all_serve().await?;
        Ok(servers)
    }

    /// What they are called in a table.
    pub(crate) fn name(&self) -> &str {
        &self.system.name
    }

    /// Everybody's address, `first` being that of a server's id.
    pub(crate) fn connect_string(&self, first: usize) -> String {
        let mut addrs: Vec<_> = self.members.iter().map(|it| it.client_addr).collect();
        addrs.rotate_left(first - 1);
        let addrs: Vec<_> = addrs.iter().map(SocketAddr::to_string).collect();
        addrs.join(",")
    }

    /// How many there are; their ids begin with 1.
    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// Starts a server that is not running, with what it has stored.
    pub(crate) fn launch(&mut self, id: usize) -> Result<()> {
        let member = &mut self.members[id - 1];
        let log = File::options()
            .create(true)
            .append(true)
            .open(member.log())?;
        let process = Command::new(&self.system.program)
            .arg(member.dir.join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.system.program.display()))?;
        member.process = Some(process);
        Ok(())
    }

    /// Ends a server's process by SIGKILL, and waits until there is none.
    pub(crate) fn kill(&mut self, id: usize) -> Result<()> {
        if let Some(mut process) = self.members[id - 1].process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Waits until every server is a leader with all of its followers, or one of these.
    pub(crate) async fn wait_until_all_serve(&mut self) -> Result<()> {
        let begin = Instant::now();
        for at in 0..self.members.len() {
            while self.mode(at).await.is_none() {
                let member = &mut self.members[at];
                let has_ended = match &mut member.process {
                    Some(process) => process.try_wait()?.is_some(),
                    None => true,
                };
                if has_ended || begin.elapsed() > PATIENCE {
                    let log = fs::read_to_string(member.log())?;
                    let lines: Vec<_> = log.lines().collect();
                    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
                    let name = &self.system.name;
                    return Err(format!("{tail}\n{name} does not serve; its log is above").into());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// The id of the one that leads.
    pub(crate) async fn leader(&self) -> Result<usize> {
        for at in 0..self.members.len() {
            if self.mode(at).await.as_deref() == Some("leader") {
                return Ok(at + 1);
            }
        }
        Err(format!("{}: nobody leads", self.system.name).into())
    }

    /// What a server that serves says it is.
    async fn mode(&self, at: usize) -> Option<String> {
        let env = TokioEnv::new();
        let addr = self.members[at].client_addr;
        let answer = four_letter_word(&*env, addr, "srvr", Duration::from_secs(5)).await;
        let answer = answer.ok()?;
        let mut modes = answer
            .lines()
            .filter_map(|line| line.strip_prefix("Mode: "));
        modes.next().map(str::to_owned)
    }

    /// CPU time of all processes so far; nothing where the system does not tell.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let processes = self.members.iter().filter_map(|it| it.process.as_ref());
        processes.map(|process| cpu_of(process.id())).sum()
    }

    /// What every server that runs has logged.
    pub(crate) fn logs(&self) -> Result<Vec<String>> {
        let running = self.members.iter().filter(|it| it.process.is_some());
        running
            .map(|member| Ok(fs::read_to_string(member.log())?))
            .collect()
    }
}

impl Member {
    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for id in 1..=self.members.len() {
            let _ = self.kill(id);
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Apart from one another, since all are held until all are chosen.
fn free_addrs(count: usize) -> Result<Vec<SocketAddr>> {
    let listeners = (0..count).map(|_| TcpListener::bind("127.0.0.1:0"));
    let listeners: Vec<_> = listeners.collect::<std::io::Result<_>>()?;
    let addrs = listeners.iter().map(TcpListener::local_addr);
    Ok(addrs.collect::<std::io::Result<_>>()?)
}

/// Of a process and all its threads: the fields after the name, which may hold anything,
/// count from the third; `utime` and `stime` are 14 and 15, in hundredths of a second.
fn cpu_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().ok())
        .sum::<Option<_>>()?;
    Some(Duration::from_millis(ticks * 10))
}
