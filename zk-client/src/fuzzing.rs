//! The session by itself, fed by a server that may say anything: for a fuzz target
//! and its corpus. Not part of the public interface: no promise of stability.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use zk_env::{Boot, Mono};
use zk_proto::record::{
    AuthPacket, ConnectResponse, CreateRequest, Credential, MultiOp, MultiRequest,
};
use zk_proto::{
    Acl, Chroot, Encode, FrameDecoder, FrameError, OpCode, Password, SessionId, Xid, Zxid,
};

use crate::reply::RawResult;
use crate::session::{
    AuthInfo, Call, Cause, Epoch, Limits, Now, Output, PendingWatch, Registration, Session,
    SessionConfig, WatchKind,
};
use crate::watcher::{Watcher, WatcherHome, WatcherId};

/// Far above what an input can hold.
const FRAME_LIMIT: usize = 1 << 16;
const TIMEOUT: Duration = Duration::from_secs(9);
const DEADLINE: Duration = Duration::from_secs(30);
const WINDOW: usize = 4;

/// Reads `input` as steps of a user, a network and a server: calls, bytes in pieces
/// of any size and with anything in them, lost connections, time. In the end every
/// call has its answer, every watcher knows that nothing more will come, and the
/// newest zxid never went back within a session.
pub fn client_bytes(input: &[u8]) {
    let mut world = World::new();
    let mut steps = input;
    while steps.has_remaining() {
        world.step(&mut steps);
        world.settle();
    }
    world.finish();
}

#[derive(Debug)]
struct Home;

impl WatcherHome for Home {
    fn forget(&self, _: WatcherId) {}
}

/// A connection as its driver and its server see it.
#[derive(Default)]
struct Link {
    /// Received, and not a whole frame yet.
    input: BytesMut,
    /// Transmitted, and not written yet.
    output: BytesMut,
    /// Written, and not a whole frame yet.
    written: BytesMut,
    /// Requests that the server may answer, in order.
    asked: VecDeque<Xid>,
}

struct World {
    session: Session,
    now: Duration,
    link: Option<Link>,
    calls: Vec<oneshot::Receiver<RawResult>>,
    watchers: Vec<Watcher>,
    home: Arc<dyn WatcherHome>,
    newest: (Epoch, Zxid),
}

impl World {
    fn new() -> Self {
        let config = SessionConfig {
            timeout: TIMEOUT,
            allow_read_only: true,
            new_session_after_expiry: true,
            resume: None,
            auths: Vec::new(),
            sasl: None,
            limits: Limits {
                queued_requests: 64,
                queued_bytes: 1 << 16,
                in_flight: WINDOW,
                frame: FRAME_LIMIT,
            },
            last_xid: Xid(i32::MAX - 3),
            probe: zk_env::Probe::default(),
        };
        Self {
            session: Session::new(config),
            now: Duration::ZERO,
            link: None,
            calls: Vec::new(),
            watchers: Vec::new(),
            home: Arc::new(Home),
            newest: (Epoch::default(), Zxid::ZERO),
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: Mono::from_origin(self.now),
            boot: Boot::from_origin(self.now),
        }
    }

    /// One step; an input that ends inside one ends there.
    fn step(&mut self, input: &mut &[u8]) {
        let kind = input.get_u8();
        let argument = input.try_get_u8().unwrap_or_default();
        match kind % 10 {
            0 => self.call(argument),
            1 => self.connect(argument),
            2 => self.grant(argument, input),
            3 => self.receive(take(input, argument)),
            4 => self.receive_frame(take(input, argument)),
            5 => self.answer(argument, input),
            6 => self.write(argument.into()),
            7 => self.advance(Duration::from_millis(50) * argument.into()),
            8 => self.lose(argument),
            _ if argument.is_multiple_of(8) => self.close(),
            _ => self.drop_watcher(argument),
        }
    }

    fn call(&mut self, which: u8) {
        let path = format!("/{}", which / 16);
        let watched = |kind| Some((kind, path.as_str()));
        match which % 16 {
            0 | 1 => self.submit(OpCode::GetData, None, &(path.as_str(), false)),
            2 | 3 => self.submit(OpCode::SetData, None, &(path.as_str(), (&b"x"[..], -1))),
            4 => {
                let create = CreateRequest {
                    path: path.as_str().into(),
                    data: None,
                    acl: Some(vec![Acl::open()]),
                    flags: 0,
                };
                self.submit(OpCode::Create2, None, &create);
            }
            5 => {
                let read = || {
                    MultiOp::GetData(zk_proto::record::GetDataRequest {
                        path: path.clone().into(),
                        watch: false,
                    })
                };
                let ops = vec![read(), read()];
                self.submit(OpCode::MultiRead, None, &MultiRequest { ops });
            }
            6 => self.submit(OpCode::WhoAmI, None, &()),
            7 => self.submit(OpCode::Sync, None, &path),
            8 => self.submit(OpCode::GetData, watched(WatchKind::Data), &(&path, true)),
            9 => self.submit(OpCode::Exists, watched(WatchKind::Exists), &(&path, true)),
            10 => self.submit(
                OpCode::GetChildren,
                watched(WatchKind::Child),
                &(&path, true),
            ),
            11 => self.submit(
                OpCode::AddWatch,
                watched(WatchKind::Persistent),
                &(&path, 0),
            ),
            12 => self.submit(OpCode::AddWatch, watched(WatchKind::Recursive), &(&path, 1)),
            13 | 14 => {
                let which = zk_proto::WatcherType::PersistentRecursive;
                let kind = WatchKind::Remove(which);
                self.submit(OpCode::RemoveWatches, Some((kind, &path)), &(&path, which));
            }
            _ => self.add_auth(&path),
        }
    }

    fn submit(&mut self, op: OpCode, watch: Option<(WatchKind, &str)>, record: &impl Encode) {
        let watch = watch.map(|(kind, path)| Box::new(self.pending_watch(kind, path)));
        let call = Call {
            op,
            watch,
            deadline: DEADLINE,
        };
        let now = self.now().mono;
        // A full queue and a closed client are answers, too.
        self.calls.extend(
            self.session
                .submit(now, call, "", record)
                .map(|queued| queued.answer),
        );
    }

    fn pending_watch(&mut self, kind: WatchKind, path: &str) -> PendingWatch {
        let registration = (!matches!(kind, WatchKind::Remove(_))).then(|| {
            let watcher = Watcher::with_capacity(4);
            watcher.attach(&Arc::downgrade(&self.home));
            self.session.attach(watcher.queue());
            let queue = Arc::clone(watcher.queue());
            self.watchers.push(watcher);
            Registration {
                watcher: queue,
                chroot: Chroot::none(),
            }
        });
        PendingWatch {
            path: path.into(),
            kind,
            registration,
        }
    }

    fn add_auth(&mut self, auth: &str) {
        let record = AuthPacket {
            kind: 0,
            scheme: "digest".into(),
            auth: Credential(Some(auth.as_bytes().into())),
        };
        let info = AuthInfo {
            scheme: "digest".into(),
            auth: Bytes::copy_from_slice(auth.as_bytes()),
        };
        let now = self.now().mono;
        self.calls.extend(
            self.session
                .submit_auth(now, info, DEADLINE, &record)
                .map(|queued| queued.answer),
        );
    }

    fn close(&mut self) {
        let now = self.now().mono;
        self.calls.push(self.session.close(now, Duration::MAX));
    }

    fn drop_watcher(&mut self, which: u8) {
        if !self.watchers.is_empty() {
            let which = usize::from(which) % self.watchers.len();
            let watcher = self.watchers.swap_remove(which);
            self.session.forget(watcher.queue().id());
        }
    }

    // --- The network -------------------------------------------------------------------

    fn connect(&mut self, server: u8) {
        if self.link.is_none() && !self.session.is_over() {
            let address = SocketAddr::from(([10, 0, 0, server % 3], 2181));
            let now = self.now();
            self.session
                .handle_connected(now, address, now.mono + TIMEOUT);
            self.link = Some(Link::default());
            self.settle();
            self.write(usize::MAX);
        }
    }

    fn lose(&mut self, why: u8) {
        let cause = match why % 4 {
            0 => Cause::Rebalanced,
            1 => Cause::ReadWriteFound,
            _ => Cause::ClosedByServer,
        };
        self.drop_link(&cause);
    }

    fn drop_link(&mut self, cause: &Cause) {
        if self.link.take().is_some() {
            let now = self.now();
            self.session.handle_disconnected(now, cause);
        }
    }

    /// The socket takes some of what there is.
    fn write(&mut self, len: usize) {
        let Some(link) = &mut self.link else {
            return;
        };
        let bytes = link.output.split_to(len.min(link.output.len()));
        self.session.handle_written(bytes.len());
        link.written.extend_from_slice(&bytes);
        while let Ok(Some(request)) = FrameDecoder::new(usize::MAX).decode(&mut link.written) {
            let xid = request.first_chunk().copied().map(i32::from_be_bytes);
            link.asked.push_back(Xid(xid.unwrap_or_default()));
        }
    }

    /// What a driver does with bytes that arrive.
    fn receive(&mut self, bytes: &[u8]) {
        let now = self.now();
        let Some(link) = &mut self.link else {
            return;
        };
        link.input.extend_from_slice(bytes);
        self.session.handle_read(now.mono);
        loop {
            match FrameDecoder::new(FRAME_LIMIT).decode(&mut link.input) {
                Ok(Some(frame)) => self.session.handle_frame(now, &frame),
                Ok(None) => return,
                Err(FrameError { length, limit }) => {
                    let head = link.input.first_chunk::<8>();
                    let xid = head.map(|[_, _, _, _, xid @ ..]| Xid(i32::from_be_bytes(*xid)));
                    let size = length.unsigned_abs() as usize;
                    return self.session.handle_oversized_reply(xid, size, limit);
                }
            }
        }
    }

    fn receive_frame(&mut self, payload: &[u8]) {
        let mut frame = BytesMut::new();
        payload.encode(&mut frame); // as a buffer: length and bytes
        self.receive(&frame);
    }

    // --- A server that knows what it says, mostly ----------------------------------------

    fn grant(&mut self, which: u8, input: &mut &[u8]) {
        let id = input.try_get_u8().unwrap_or(1);
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: [9000, 9000, 4000, 0][usize::from(which % 4)],
            session_id: SessionId(id.into()),
            password: Password::none(),
            read_only: [None, Some(false), Some(false), Some(true)][usize::from(which / 4 % 4)],
        };
        let mut payload = BytesMut::new();
        response.encode(&mut payload);
        self.forget_question();
        self.receive_frame(&payload);
    }

    fn forget_question(&mut self) {
        if let Some(link) = &mut self.link {
            link.asked.pop_front();
        }
    }

    /// The header that is due, with a verdict and a body of the input's choice.
    fn answer(&mut self, len: u8, input: &mut &[u8]) {
        let (step, verdict) = (
            input.try_get_u8().unwrap_or(1),
            input.try_get_u8().unwrap_or_default(),
        );
        let due = self.link.as_mut().and_then(|link| link.asked.pop_front());
        let mut payload = BytesMut::new();
        payload.put_i32(due.unwrap_or_default().0);
        match step {
            0 => payload.put_i64(-1),
            step => payload.put_i64(self.newest.1.0 + i64::from(step) - 1),
        }
        payload.put_i32([0, 0, -6, -101, -5, -115, -119, -121][usize::from(verdict % 8)]);
        payload.put_slice(take(input, len));
        self.receive_frame(&payload);
    }

    // --- Driving -----------------------------------------------------------------------

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        let mut wakes = 0;
        while self.session.poll_timeout().since_origin() <= end {
            self.now = self.now.max(self.session.poll_timeout().since_origin());
            let now = self.now();
            self.session.handle_timeout(now);
            self.settle();
            wakes += 1;
            assert!(wakes < 100_000, "the session asks to be woken for nothing");
        }
        self.now = end;
    }

    /// What a driver does after each input.
    fn settle(&mut self) {
        loop {
            let mut cause = None;
            while let Some(output) = self.session.poll_output() {
                if let Some(why) = carry_out(output) {
                    cause.get_or_insert(why);
                }
            }
            self.look();
            if let Some(cause) = cause {
                self.drop_link(&cause);
            } else {
                break;
            }
        }
        let now = self.now();
        if let Some(link) = self.link.as_mut().filter(|link| link.output.is_empty()) {
            self.session.poll_transmit(now, &mut link.output);
        }
    }

    /// What holds at every moment.
    fn look(&mut self) {
        let identity = self.session.identity();
        let (epoch, zxid) = self.newest;
        // Between two sessions there is no newest zxid.
        if identity.id != SessionId::NONE && identity.epoch == epoch {
            assert!(identity.last_zxid >= zxid, "the zxid went back from {zxid}");
        }
        self.newest = (identity.epoch, identity.last_zxid);
    }

    /// Without a server, everything comes to its end by itself.
    fn finish(mut self) {
        self.drop_link(&Cause::ClosedByServer);
        self.settle();
        self.close();
        self.settle();
        // Longer than any session timeout that a server can grant.
        self.advance(Duration::from_secs(1 << 32));
        assert!(self.session.is_over(), "the client is not closed");
        for mut call in self.calls {
            assert!(call.try_recv().is_ok(), "a call hangs");
        }
        for watcher in &self.watchers {
            let ends = || match watcher.next().now_or_never() {
                Some(Some(_)) => None,
                Some(None) => Some(true),
                None => Some(false),
            };
            let has_ended = std::iter::repeat_with(ends).find_map(|ended| ended);
            assert_eq!(has_ended, Some(true), "a watcher waits for ever");
        }
    }
}

/// The next bytes of the input, or what there is of them.
fn take<'i>(input: &mut &'i [u8], len: u8) -> &'i [u8] {
    let (bytes, rest) = input.split_at(usize::from(len).min(input.len()));
    *input = rest;
    bytes
}

fn carry_out(output: Output) -> Option<Cause> {
    match output {
        // Finding nobody there would mean that a call was answered twice.
        Output::Reply(slot, result) => slot.send(result).expect("every call is waited for"),
        Output::Event(watcher, event) => {
            watcher.push(event);
        }
        Output::Detach(watcher) => watcher.detach(),
        Output::State(_) => {}
        Output::Disconnect(cause) => return Some(cause),
        Output::Wake(waker) => waker.wake(),
    }
    None
}
