"""ZooKeeper's client protocol over a raw socket, recorded frame by frame.

Only what `capture_fixtures.py` needs: encoding of requests, a connection that
keeps every frame it sends and receives, and a look into replies where the next
step depends on one. Decoding is left to the code under test.
"""

import socket
import struct

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
(PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG, CHECK_WATCHES, REMOVE_WATCHES,
 CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, MULTI_READ) = range(11, 23)
(AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER, SET_WATCHES2, ADD_WATCH,
 WHO_AM_I) = range(100, 108)
CLOSE_SESSION = -11

NOTIFICATION_XID = -1
PING_XID = -2
AUTH_XID = -4
SET_WATCHES_XID = -8

# Names for frames that end with their header, and for bodies that are no record
# of their operation.
NOTHING = "-"
MALFORMED = "Malformed"

# The records of each operation's request and reply.
RECORDS = {
    CREATE: ("CreateRequest", "CreateResponse"),
    DELETE: ("DeleteRequest", NOTHING),
    EXISTS: ("ExistsRequest", "ExistsResponse"),
    GET_DATA: ("GetDataRequest", "GetDataResponse"),
    SET_DATA: ("SetDataRequest", "SetDataResponse"),
    GET_ACL: ("GetAclRequest", "GetAclResponse"),
    SET_ACL: ("SetAclRequest", "SetAclResponse"),
    GET_CHILDREN: ("GetChildrenRequest", "GetChildrenResponse"),
    SYNC: ("SyncRequest", "SyncResponse"),
    GET_CHILDREN2: ("GetChildren2Request", "GetChildren2Response"),
    CHECK: ("CheckVersionRequest", NOTHING),
    MULTI: ("MultiRequest", "MultiResponse"),
    CREATE2: ("CreateRequest", "Create2Response"),
    RECONFIG: ("ReconfigRequest", "GetDataResponse"),
    CHECK_WATCHES: ("CheckWatchesRequest", NOTHING),
    REMOVE_WATCHES: ("RemoveWatchesRequest", NOTHING),
    CREATE_CONTAINER: ("CreateRequest", "Create2Response"),
    DELETE_CONTAINER: ("DeleteContainerRequest", NOTHING),
    CREATE_TTL: ("CreateTtlRequest", "Create2Response"),
    MULTI_READ: ("MultiRequest", "MultiResponse"),
    AUTH: ("AuthPacket", NOTHING),
    SET_WATCHES: ("SetWatches", NOTHING),
    SASL: ("GetSaslRequest", "SetSaslResponse"),
    GET_EPHEMERALS: ("GetEphemeralsRequest", "GetEphemeralsResponse"),
    GET_ALL_CHILDREN_NUMBER: ("GetAllChildrenNumberRequest", "GetAllChildrenNumberResponse"),
    SET_WATCHES2: ("SetWatches2", NOTHING),
    ADD_WATCH: ("AddWatchRequest", "ErrorResponse"),
    WHO_AM_I: (NOTHING, "WhoAmIResponse"),
}


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def boolean(value):
    return b"\x01" if value else b"\x00"


def buffer(value):
    return i32(-1) if value is None else i32(len(value)) + value


def ustring(value):
    return buffer(None if value is None else value.encode())


def vector(items):
    return i32(-1) if items is None else i32(len(items)) + b"".join(items)


def strings(values):
    return vector(None if values is None else [ustring(value) for value in values])


def acl(*entries):
    """Each entry is (perms, scheme, id)."""
    return vector([i32(perms) + ustring(scheme) + ustring(id_) for perms, scheme, id_ in entries])


OPEN_ACL = acl((31, "world", "anyone"))


# --- bodies of requests ---

PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = range(7)


def create(path, data=b"data", acls=OPEN_ACL, flags=PERSISTENT):
    return ustring(path) + buffer(data) + acls + i32(flags)


def create_ttl(path, ttl, flags=TTL):
    return create(path, flags=flags) + i64(ttl)


def path_version(path, version=-1):
    """DeleteRequest and CheckVersionRequest."""
    return ustring(path) + i32(version)


def path_watch(path, watch=False):
    """ExistsRequest, GetDataRequest, GetChildrenRequest, GetChildren2Request."""
    return ustring(path) + boolean(watch)


def set_data(path, data, version=-1):
    return ustring(path) + buffer(data) + i32(version)


def set_acl(path, acls, version=-1):
    return ustring(path) + acls + i32(version)


def path_type(path, type_):
    """CheckWatchesRequest, RemoveWatchesRequest, AddWatchRequest."""
    return ustring(path) + i32(type_)


def auth_packet(scheme, auth):
    return i32(0) + ustring(scheme) + buffer(auth)


def reconfig(joining=None, leaving=None, new_members=None, config_id=-1):
    return ustring(joining) + ustring(leaving) + ustring(new_members) + i64(config_id)


def multi_header(type_, done=False, err=-1):
    return i32(type_) + boolean(done) + i32(err)


def multi(*operations):
    """MultiRequest; each operation is (op code, encoded record)."""
    parts = [multi_header(op) + record for op, record in operations]
    return b"".join(parts) + multi_header(-1, done=True)


# --- frames ---


class Recorder:
    """The frames of one capture, in the order in which they crossed the wire."""

    def __init__(self):
        self.lines = []
        self._requests = set()

    def frame(self, name, direction, record, payload):
        if direction == "request":
            assert name not in self._requests, f"two requests named {name}"
            self._requests.add(name)
        complete = i32(len(payload)) + payload
        self.lines.append(f"{name}\t{direction}\t{record}\t{complete.hex()}")

    def closed(self, name):
        self.lines.append(f"# {name}: then the server closes the connection")

    def section(self, text):
        self.lines.append(f"# --- {text}")


class Closed(Exception):
    """The server closed the connection where a frame was expected."""


class Reply:
    """A reply's header and the bytes after it."""

    def __init__(self, payload):
        self.xid, self.zxid, self.err = struct.unpack_from(">iqi", payload)
        self.body = payload[16:]


class Connection:
    """One connection to a server. Use as a context manager."""

    def __init__(self, connect, recorder):
        host, port = connect.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._recorder = recorder
        self._xid = 0
        self.session_id = 0
        self.password = bytes(16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    # --- frames ---

    def send(self, payload):
        self._socket.sendall(i32(len(payload)) + payload)

    def _receive_exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self._socket.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(f"after {len(data)} of {count} bytes")
            data += more
        return data

    def receive(self):
        (length,) = struct.unpack(">i", self._receive_exactly(4))
        return self._receive_exactly(length)

    def expect_closed(self, name):
        try:
            payload = self.receive()
        except Closed:
            self._recorder.closed(name)
            return
        raise AssertionError(f"{name}: the server sent {payload.hex()} instead of closing")

    # --- handshake ---

    def _connect_request(self, name, *, timeout=10_000, session_id=0, password=bytes(16),
                         read_only=False, last_zxid=0):
        """`read_only=None` leaves that byte out."""
        request = i32(0) + i64(last_zxid) + i32(timeout) + i64(session_id) + buffer(password)
        if read_only is not None:
            request += boolean(read_only)
        self._recorder.frame(name, "request", "ConnectRequest", request)
        self.send(request)

    def handshake(self, name, **fields):
        """Opens or renews a session."""
        self._connect_request(name, **fields)
        response = self.receive()
        self._recorder.frame(name, "reply", "ConnectResponse", response)
        (self.session_id,) = struct.unpack_from(">q", response, 8)
        self.password = response[20:36]

    def handshake_refused(self, name, **fields):
        """The server has to close instead of answering."""
        self._connect_request(name, **fields)
        self.expect_closed(name)

    # --- requests ---

    def request(self, name, op, body=b"", *, xid=None, malformed=False):
        """Sends a request and returns its xid."""
        if xid is None:
            self._xid += 1
            xid = self._xid
        record, _ = RECORDS.get(op, (NOTHING, NOTHING))
        payload = i32(xid) + i32(op) + body
        self._recorder.frame(name, "request", MALFORMED if malformed else record, payload)
        self.send(payload)
        return xid

    def reply(self, name, op):
        """The next reply; notifications before it are recorded as events."""
        while True:
            payload = self.receive()
            reply = Reply(payload)
            if reply.xid == NOTIFICATION_XID:
                self._recorder.frame(name, "event", "WatcherEvent", payload)
                continue
            # Replies with an error end with their header, whatever the operation.
            _, record = RECORDS.get(op, (NOTHING, NOTHING))
            self._recorder.frame(name, "reply", record if reply.body else NOTHING, payload)
            return reply

    def event(self, name):
        """The next frame, which has to be a notification."""
        payload = self.receive()
        assert Reply(payload).xid == NOTIFICATION_XID, f"{name}: {payload.hex()} is no event"
        self._recorder.frame(name, "event", "WatcherEvent", payload)

    def call(self, name, op, body=b"", *, err=0, xid=None, malformed=False):
        """A request and its reply, which has to carry `err`."""
        sent = self.request(name, op, body, xid=xid, malformed=malformed)
        reply = self.reply(name, op)
        assert reply.xid == sent, f"{name}: sent xid {sent}, got {reply.xid}"
        assert reply.err == err, f"{name}: expected error {err}, got {reply.err}"
        return reply
