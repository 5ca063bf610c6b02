//! What those who watch are told.

use super::*;
use crate::{Observation, Observer};
use std::sync::Mutex;

/// Lines, one for each thing seen.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Lines {
    fn observe(&mut self, at: Duration, observation: &Observation<'_>) {
        let line = match observation {
            Observation::Dialled { from, to, port, .. } => format!("{from} dials {to}:{port}"),
            Observation::Established { .. } => "established".to_owned(),
            Observation::Wrote { side, bytes, .. } => format!("{side:?} wrote {bytes:?}"),
            Observation::Arrived { side, len, .. } => format!("{len} of {side:?} arrived"),
            Observation::Read { side, len, .. } => format!("{len} of {side:?} read"),
            Observation::Garbled { side, offset, .. } => format!("{side:?} garbled at {offset}"),
            Observation::Closed { side, is_reset, .. } => format!("{side:?} closed, {is_reset}"),
            Observation::Fault { what, begins } => format!("{what}, {begins}"),
            Observation::Note { host, what } => format!("{host}: {what}"),
        };
        let line = format!("{} {line}", at.as_millis());
        self.0.lock().unwrap().push(line);
    }
}

async fn watched() -> (Pair, Lines) {
    let pair = Pair::new(1).await;
    let millisecond = Duration::from_millis(1);
    pair.net.set_latency(millisecond, Duration::ZERO);
    let lines = Lines::default();
    pair.net.watch(Box::new(lines.clone()));
    (pair, lines)
}

#[test]
fn a_connection_is_seen_from_dial_to_close() {
    run(1, async {
        let (mut pair, lines) = watched().await;
        let second = Lines::default();
        pair.net.watch(Box::new(second.clone()));
        let (mut near, mut far) = pair.connect().await;
        write(&mut near, b"ab").await.unwrap();
        assert_reads(&mut far, b"ab").await;
        drop(near);
        assert_eof(&mut far).await;
        write(&mut far, b"c").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let seen = lines.take();
        // A lookup has taken the first millisecond.
        assert_eq!(
            seen,
            [
                "1 client dials server:2181",
                "3 established",
                "3 Connector wrote b\"ab\"",
                "4 2 of Connector arrived",
                "4 2 of Connector read",
                "4 Connector closed, false",
                "5 Acceptor wrote b\"c\"",
                "6 Connector closed, true",
            ]
        );
        assert_eq!(second.take(), seen);
    });
}

#[test]
fn faults_that_end_connections_show_at_both_ends() {
    run(1, async {
        let (mut pair, lines) = watched().await;
        let both =
            |is_reset: bool| ["Connector", "Acceptor"].map(|s| format!("3 {s} closed, {is_reset}"));
        let _first = pair.connect().await;
        lines.take();
        pair.net.fin("client", "server");
        assert_eq!(lines.take(), both(false));
        pair.net.cut("client", "server");
        assert_eq!(lines.take(), both(true));
    });
}

#[test]
fn others_may_tell_as_well() {
    run(1, async {
        let (pair, lines) = watched().await;
        pair.net.tell(&Observation::Note {
            host: "client",
            what: format_args!("said {}", 7),
        });
        assert_eq!(lines.take(), ["1 client: said 7"]);
    });
}
