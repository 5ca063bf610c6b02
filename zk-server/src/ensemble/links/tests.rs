//! Links between two peers, over pipes on a paused clock, and over TCP.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zk_env::{TokioEnv, accept};

use super::*;

const ONE: ServerId = ServerId(1);
const TWO: ServerId = ServerId(2);
const SECOND: Duration = Duration::from_secs(1);

fn addr_of(peer: ServerId) -> SocketAddr {
    format!("127.0.0.{peer}:2888").parse().unwrap()
}

/// Two peers that listen, and a connection that the first has dialled.
struct Two {
    env: Arc<TokioEnv>,
    links: Arc<Links>,
    listeners: [Box<dyn Listener>; 2],
    near: BoxStream,
    far: BoxStream,
}

async fn links(transport: Transport) -> (Arc<TokioEnv>, Arc<Links>) {
    let env = TokioEnv::new();
    let links = Links::new(Arc::clone(&env) as Arc<dyn Env>, transport);
    for peer in [ONE, TWO] {
        links.assign(addr_of(peer), peer);
    }
    (env, links)
}

impl Two {
    async fn connected(transport: Transport) -> Self {
        let (env, links) = links(transport).await;
        let one = Arc::clone(&links).bind(addr_of(ONE)).await.unwrap();
        let mut two = Arc::clone(&links).bind(addr_of(TWO)).await.unwrap();
        let dialled = Arc::clone(&links).connect(ONE, addr_of(TWO));
        let (near, accepted) = tokio::join!(dialled, accept(&mut *two));
        Self {
            env,
            links,
            listeners: [one, two],
            near: near.unwrap(),
            far: accepted.unwrap().0,
        }
    }
}

/// What the future gives within a second, in which nothing else may be left to do.
async fn soon<T>(env: &TokioEnv, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = env.timer();
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep_until(&mut *timer, env.now() + SECOND) => None,
    }
}

async fn read(stream: &mut BoxStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// How the stream ends: none is a close, after all bytes.
async fn end(stream: &mut BoxStream) -> Option<io::ErrorKind> {
    let mut rest = Vec::new();
    stream
        .read_to_end(&mut rest)
        .await
        .err()
        .map(|error| error.kind())
}

async fn bytes_travel_both_ways_until_a_close(transport: Transport) {
    let mut two = Two::connected(transport).await;
    two.near.write_all(b"question").await.unwrap();
    assert_eq!(read(&mut two.far, 8).await, b"question");
    two.far.write_all(b"answer").await.unwrap();
    two.far.shutdown().await.unwrap();
    let mut answer = String::new();
    two.near.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    // The other half is still open.
    two.near.write_all(b"thanks").await.unwrap();
    drop(two.near);
    let mut rest = String::new();
    two.far.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "thanks");
}

#[tokio::test]
async fn bytes_travel_both_ways_until_a_close_in_memory() {
    bytes_travel_both_ways_until_a_close(Transport::Memory).await;
}

#[tokio::test]
async fn bytes_travel_both_ways_until_a_close_over_tcp() {
    bytes_travel_both_ways_until_a_close(Transport::Tcp).await;
}

#[tokio::test]
async fn nobody_listens_twice_on_an_address_and_it_is_free_again_afterwards() {
    for transport in [Transport::Memory, Transport::Tcp] {
        let (_env, links) = links(transport).await;
        let addr = addr_of(TWO);
        let refused = Arc::clone(&links).connect(ONE, addr).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = Arc::clone(&links).bind(addr).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), addr);
        let taken = Arc::clone(&links).bind(addr).await.err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let refused = Arc::clone(&links).connect(ONE, addr).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        Arc::clone(&links).bind(addr).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_to_be_accepted_are_closed_with_the_listener() {
    let two = Two::connected(Transport::Memory).await;
    let waiting = Arc::clone(&two.links).connect(TWO, addr_of(ONE)).await;
    drop(two.listeners);
    assert_eq!(end(&mut waiting.unwrap()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_makes_those_who_dial_wait() {
    let mut two = Two::connected(Transport::Memory).await;
    let dial = || Arc::clone(&two.links).connect(ONE, addr_of(TWO));
    let mut waiting = Vec::new();
    for _ in 0..BACKLOG {
        waiting.push(dial().await.unwrap());
    }
    assert!(soon(&two.env, dial()).await.is_none());
    let next = dial();
    let (_, connected) = tokio::join!(accept(&mut *two.listeners[1]), next);
    connected.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_room_and_no_byte_is_lost() {
    let mut two = Two::connected(Transport::Memory).await;
    let bytes: Vec<u8> = (0..3 * pipe::CAPACITY).map(|at| at as u8).collect();
    let filled = two.near.write(&bytes).await.unwrap();
    assert_eq!(filled, pipe::CAPACITY);
    let rest = two.near.write_all(&bytes[filled..]);
    let (written, heard) = tokio::join!(rest, read(&mut two.far, bytes.len()));
    written.unwrap();
    assert!(heard == bytes, "the bytes differ");
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_holds_bytes_and_the_close_behind_them() {
    let mut two = Two::connected(Transport::Memory).await;
    two.links.cut(&[ONE], &[TWO], Cut::Silence);
    two.near.write_all(b"held").await.unwrap();
    drop(two.near);
    assert!(soon(&two.env, two.far.read_u8()).await.is_none());
    two.links.heal();
    let mut heard = String::new();
    two.far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "held");
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_of_one_direction() {
    let mut two = Two::connected(Transport::Memory).await;
    two.links.cut(&[ONE], &[TWO], Cut::Silence);
    two.far.write_all(b"arrives").await.unwrap();
    assert_eq!(read(&mut two.near, 7).await, b"arrives");
    two.near.write_all(b"does not").await.unwrap();
    assert!(soon(&two.env, two.far.read_u8()).await.is_none());
}

/// The reader's end is gone, and across the cut its writer must not find out.
#[tokio::test(start_paused = true)]
async fn a_writer_across_a_cut_learns_of_a_close_when_it_is_healed() {
    let Two {
        links,
        mut near,
        far,
        ..
    } = Two::connected(Transport::Memory).await;
    links.cut(&[TWO], &[ONE], Cut::Silence);
    links.cut(&[ONE], &[TWO], Cut::Silence);
    drop(far);
    near.write_all(b"into the void").await.unwrap();
    links.heal();
    let error = near.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn a_dial_across_a_cut_hangs_until_it_is_healed() {
    for (from, to) in [(ONE, TWO), (TWO, ONE)] {
        let two = Two::connected(Transport::Memory).await;
        two.links.cut(&[from], &[to], Cut::Silence);
        let mut dial = Box::pin(Arc::clone(&two.links).connect(ONE, addr_of(TWO)));
        assert!(soon(&two.env, &mut dial).await.is_none());
        two.links.heal();
        assert!(soon(&two.env, dial).await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_cut_that_resets_ends_connections_at_once() {
    for transport in [Transport::Memory, Transport::Tcp] {
        let mut two = Two::connected(transport).await;
        two.far.write_all(b"lost").await.unwrap();
        two.links.cut(&[ONE], &[TWO], Cut::Reset);
        let reset = Some(io::ErrorKind::ConnectionReset);
        assert_eq!(end(&mut two.near).await, reset);
        let error = two.near.write_all(b"x").await.unwrap_err();
        assert_eq!(Some(error.kind()), reset);
        // Over TCP the other end sees its socket closed, with a reset or without.
        let far = end(&mut two.far).await;
        assert!(far == reset || transport == Transport::Tcp, "{far:?}");
    }
}

#[tokio::test]
async fn tcp_connections_obey_the_links_too() {
    let mut two = Two::connected(Transport::Tcp).await;
    two.links.cut(&[TWO], &[ONE], Cut::Silence);
    two.far.write_all(b"held").await.unwrap();
    two.near.write_all(b"arrives").await.unwrap();
    assert_eq!(read(&mut two.far, 7).await, b"arrives");
    let mut early = [0; 4];
    let nothing = std::future::poll_fn(|cx| {
        let mut room = tokio::io::ReadBuf::new(&mut early);
        let read = tokio::io::AsyncRead::poll_read(std::pin::pin!(&mut two.near), cx, &mut room);
        std::task::Poll::Ready(read.is_pending())
    });
    assert!(nothing.await);
    two.links.heal();
    assert_eq!(read(&mut two.near, 4).await, b"held");
}

#[tokio::test(start_paused = true)]
async fn delayed_bytes_arrive_late_and_in_order_whatever_the_delay_becomes() {
    let mut two = Two::connected(Transport::Memory).await;
    let start = two.env.now();
    two.links.delay(&[ONE], &[TWO], 10 * SECOND);
    two.near.write_all(b"late ").await.unwrap();
    two.links.delay(&[ONE], &[TWO], Duration::ZERO);
    two.near.write_all(b"later").await.unwrap();
    assert_eq!(read(&mut two.far, 10).await, b"late later");
    assert_eq!(two.env.now().since(start), 10 * SECOND);
    two.near.write_all(b"now").await.unwrap();
    assert_eq!(read(&mut two.far, 3).await, b"now");
    assert_eq!(two.env.now().since(start), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_dial_takes_as_long_as_a_round_trip() {
    let two = Two::connected(Transport::Memory).await;
    let start = two.env.now();
    two.links.delay(&[ONE], &[TWO], 2 * SECOND);
    two.links.delay(&[TWO], &[ONE], SECOND);
    let dialled = Arc::clone(&two.links).connect(ONE, addr_of(TWO)).await;
    dialled.unwrap();
    assert_eq!(two.env.now().since(start), 3 * SECOND);
}

#[tokio::test]
async fn closed_links_leave_no_connection() {
    for transport in [Transport::Memory, Transport::Tcp] {
        let mut two = Two::connected(transport).await;
        two.links.cut(&[ONE], &[TWO], Cut::Silence);
        two.links.close();
        assert!(end(&mut two.near).await.is_some());
        let late = Arc::clone(&two.links).connect(ONE, addr_of(TWO)).await;
        assert_eq!(late.err().unwrap().kind(), io::ErrorKind::ConnectionReset);
    }
}
