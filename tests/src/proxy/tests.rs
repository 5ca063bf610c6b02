use crate::wait::{eventually, ready_within, within};
use crate::wire::Wire;

use super::*;

/// A server that sends back what it gets.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    host
}

async fn connected() -> (Proxy, Wire) {
    let proxy = Proxy::start(&echo().await).await;
    let mut wire = Wire::connect(&proxy.host()).await.unwrap();
    wire.write_frame(&1).await.unwrap();
    assert_eq!(read(&mut wire).await.unwrap().unwrap().len(), 4);
    (proxy, wire)
}

async fn read(wire: &mut Wire) -> io::Result<Option<Bytes>> {
    within("an echo", wire.read_frame()).await
}

#[tokio::test]
async fn a_cut_resets_or_ends_the_stream() {
    let (proxy, mut wire) = connected().await;
    proxy.cut(Cut::Reset);
    assert!(read(&mut wire).await.is_err());
    let mut wire = Wire::connect(&proxy.host()).await.unwrap();
    eventually("the connection", async || proxy.open() == 1).await;
    proxy.cut(Cut::Fin);
    assert_eq!(read(&mut wire).await.unwrap(), None);
    assert_eq!(proxy.accepted(), 2);
    eventually("no connection", async || proxy.open() == 0).await;
}

#[tokio::test]
async fn silence_holds_bytes_until_it_ends() {
    let (proxy, mut wire) = connected().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let before = proxy.forwarded(direction);
        proxy.silence(direction, true);
        wire.write_frame(&2).await.unwrap();
        let early = ready_within(Duration::from_millis(100), wire.read_frame()).await;
        assert!(early.is_none());
        assert_eq!(proxy.forwarded(direction), before);
        proxy.silence(direction, false);
        assert!(read(&mut wire).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_delay_is_added_and_a_rate_is_kept() {
    let (proxy, mut wire) = connected().await;
    let start = Instant::now();
    proxy.delay(Direction::ToServer, Duration::from_millis(50));
    wire.write_frame(&3).await.unwrap();
    assert!(read(&mut wire).await.unwrap().is_some());
    assert!(start.elapsed() >= Duration::from_millis(50));

    proxy.delay(Direction::ToServer, Duration::ZERO);
    proxy.throttle(Direction::ToClient, Some(1000));
    let start = Instant::now();
    wire.write_frame(&vec![0i64; 20]).await.unwrap();
    assert!(read(&mut wire).await.unwrap().is_some());
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_cut_after_some_bytes_lets_just_those_pass() {
    let (proxy, mut wire) = connected().await;
    proxy.cut_after(Direction::ToClient, 5, Cut::Fin);
    wire.write_frame(&4).await.unwrap();
    let rest = within("the end", wire.read_to_end()).await.unwrap();
    assert_eq!(&rest[..], [0, 0, 0, 4, 0]);
    let mut again = Wire::connect(&proxy.host()).await.unwrap();
    again.write_frame(&5).await.unwrap();
    assert!(read(&mut again).await.unwrap().is_some());
}

#[tokio::test]
async fn refused_connections_are_reset() {
    let (proxy, mut wire) = connected().await;
    proxy.refuse(true);
    let mut refused = Wire::connect(&proxy.host()).await.unwrap();
    assert!(!matches!(read(&mut refused).await, Ok(Some(_))));
    wire.write_frame(&6).await.unwrap();
    assert!(read(&mut wire).await.unwrap().is_some());
    proxy.refuse(false);
    let mut welcome = Wire::connect(&proxy.host()).await.unwrap();
    welcome.write_frame(&7).await.unwrap();
    assert!(read(&mut welcome).await.unwrap().is_some());
}
