//! The bounds: queue, window, frame.

use std::task::Poll;

use zk_proto::OpCode;

use super::pair::{Delivered, Pair, config};
use crate::error::{Error, QueueLimit};
use crate::session::{Limits, SessionConfig};

fn limited(limits: impl FnOnce(&mut Limits)) -> SessionConfig {
    let mut config = config();
    limits(&mut config.limits);
    config
}

#[test]
fn a_full_queue_refuses_by_number_of_requests() {
    let mut pair = Pair::new(limited(|limits| limits.queued_requests = 3));
    for _ in 0..3 {
        pair.get("/a");
    }
    let limit = QueueLimit::Requests(3);
    assert_eq!(pair.try_get("/a"), Err(Error::QueueFull { limit }));
    pair.resume(1);
    assert_eq!(
        pair.take_requests().len(),
        3,
        "the refused one was never queued"
    );
    assert!(pair.try_get("/a").is_ok());
}

#[test]
fn a_full_queue_refuses_by_bytes() {
    let mut pair = Pair::new(limited(|limits| limits.queued_bytes = 1000));
    pair.set("/a", &[0; 600]);
    pair.set("/a", &[0; 600]);
    let limit = QueueLimit::Bytes(1000);
    assert_eq!(pair.try_get("/a"), Err(Error::QueueFull { limit }));
    pair.resume(1);
    assert!(pair.try_get("/a").is_ok());
}

#[test]
fn requests_in_flight_take_no_room_in_the_queue() {
    let mut pair = Pair::serving_with(limited(|limits| {
        limits.queued_requests = 2;
        limits.in_flight = 5;
    }));
    for _ in 0..7 {
        pair.get("/a");
    }
    assert!(matches!(pair.try_get("/a"), Err(Error::QueueFull { .. })));
    let requests = pair.take_requests();
    assert_eq!(requests.len(), 5);
    pair.answer(&requests[0], &());
    assert_eq!(
        pair.take_requests().len(),
        1,
        "an answer makes room in the window"
    );
    assert!(pair.try_get("/a").is_ok(), "and so in the queue");
}

fn is_woken(pair: &Pair) -> bool {
    pair.log.contains(&Delivered::Woken)
}

/// Not connected, with a queue of one that is full, and somebody waiting for room.
fn waiting_for_room() -> Pair {
    let mut pair = Pair::new(limited(|limits| limits.queued_requests = 1));
    assert_eq!(pair.poll_ready(), Poll::Ready(Ok(())));
    pair.get("/a");
    assert_eq!(pair.poll_ready(), Poll::Pending);
    pair.settle();
    assert!(!is_woken(&pair));
    pair
}

#[test]
fn who_waits_for_room_is_woken_when_the_queue_drains() {
    let mut pair = waiting_for_room();
    pair.resume(1);
    assert!(is_woken(&pair));
    assert_eq!(pair.poll_ready(), Poll::Ready(Ok(())));
}

#[test]
fn who_waits_for_room_is_woken_when_a_deadline_makes_some() {
    let mut pair = waiting_for_room();
    pair.advance(pair.deadline);
    assert!(is_woken(&pair), "the queue is empty, connected or not");
    assert_eq!(pair.poll_ready(), Poll::Ready(Ok(())));
}

#[test]
fn who_waits_for_room_is_woken_when_a_loss_makes_some() {
    let mut pair = Pair::serving_with(limited(|limits| {
        limits.queued_requests = 1;
        limits.in_flight = 1;
    }));
    pair.get("/sent");
    pair.get("/queued");
    assert_eq!(pair.poll_ready(), Poll::Pending);
    pair.lose();
    assert!(is_woken(&pair));
}

#[test]
fn who_waits_for_room_is_woken_when_the_client_is_closed() {
    let mut pair = waiting_for_room();
    pair.resume(1);
    pair.lose();
    pair.get("/b");
    pair.log.clear();
    assert_eq!(pair.poll_ready(), Poll::Pending);
    pair.close();
    assert!(is_woken(&pair));
    assert_eq!(pair.poll_ready(), Poll::Ready(Err(Error::Closed)));
}

#[test]
fn one_waiter_is_woken_once() {
    let mut pair = waiting_for_room();
    let mut ticket = None;
    for _ in 0..5 {
        let ready = pair.session.poll_ready(&mut ticket, &Pair::waker());
        assert!(ready.is_pending());
    }
    pair.resume(1);
    let woken = pair.log.iter().filter(|entry| **entry == Delivered::Woken);
    assert_eq!(woken.count(), 2, "the first waiter and this one");
}

#[test]
fn who_no_longer_waits_for_room_is_not_woken() {
    let mut pair = waiting_for_room();
    let (waker, mut ticket) = (Pair::waker(), None);
    assert!(pair.session.poll_ready(&mut ticket, &waker).is_pending());
    pair.session.forget_ticket(ticket);
    pair.resume(1);
    let woken = pair.log.iter().filter(|entry| **entry == Delivered::Woken);
    assert_eq!(woken.count(), 1, "the first waiter alone");
}

#[test]
fn the_frame_limit_itself_is_legal_and_one_byte_more_is_refused_unsent() {
    /// Header, path, length of the data, version.
    const AROUND_THE_DATA: usize = 8 + (4 + 2) + 4 + 4;
    let mut pair = Pair::serving_with(limited(|limits| limits.frame = 100));
    assert!(pair.try_set("/a", &[0; 100 - AROUND_THE_DATA]).is_ok());
    let refused = pair.try_set("/a", &[0; 101 - AROUND_THE_DATA]);
    let error = Error::FrameTooLarge {
        path: "/a".into(),
        size: 101,
        limit: 100,
    };
    assert_eq!(refused, Err(error));
    pair.get("/b");
    let requests = pair.take_requests();
    assert_eq!(requests.len(), 2, "nothing of the large one is left behind");
    assert_eq!(requests[1].op, OpCode::GetData);
    assert_eq!((requests[0].xid.0, requests[1].xid.0), (1, 2));
}
