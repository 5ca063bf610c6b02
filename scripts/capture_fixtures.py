#!/usr/bin/env python3
"""Records the byte fixtures of zk-proto from real Apache ZooKeeper servers.

    scripts/capture_fixtures.py VERSION >zk-proto/testdata/apache-VERSION.txt

Starts servers of that release with apache.sh, one per configuration that is
needed, drives them over raw sockets and writes every frame of every exchange.
Session ids, passwords and times differ from run to run; which frames there are
does not. Each step asserts the error code it is there for, so a capture that
ends is one that saw what its names say.
"""

import contextlib
import pathlib
import socket
import subprocess
import sys

sys.dont_write_bytecode = True  # no cache directory among the sources

import zk_wire as wire
from zk_wire import (CONTAINER, EPHEMERAL, EPHEMERAL_SEQUENTIAL, OPEN_ACL, SEQUENTIAL, TTL_SEQUENTIAL, acl,
                     auth_packet, buffer, create, create_ttl, i64, multi, path_type, path_version,
                     path_watch, reconfig, set_acl, set_data, strings, ustring)

APACHE = pathlib.Path(__file__).with_name("apache.sh")

UNIMPLEMENTED = -6
MARSHALLING_ERROR = -5
BAD_ARGUMENTS = -8
NEW_CONFIG_NO_QUORUM = -13
NO_NODE = -101
NO_AUTH = -102
BAD_VERSION = -103
NO_CHILDREN_FOR_EPHEMERALS = -108
NODE_EXISTS = -110
NOT_EMPTY = -111
INVALID_ACL = -114
AUTH_FAILED = -115
NOT_READ_ONLY = -119
EPHEMERAL_ON_LOCAL_SESSION = -120
NO_WATCHER = -121
RECONFIG_DISABLED = -123
SESSION_CLOSED_REQUIRE_SASL_AUTH = -124
QUOTA_EXCEEDED = -125
THROTTLED_OP = -127

CHILDREN, DATA, ANY, WATCHER_PERSISTENT, WATCHER_PERSISTENT_RECURSIVE = range(1, 6)
PERSISTENT_WATCH, PERSISTENT_RECURSIVE_WATCH = range(2)

HOUR = 3_600_000
OWN_CREDENTIAL = b"own:er"
OWN = "own:WB9qmW9kBoTSnXyoit3HXD1EF4E="
SUPER_CREDENTIAL = b"super:admin"

HEADER = """\
# Frames of a real Apache ZooKeeper {version} server, captured over a raw socket by
# `scripts/capture_fixtures.py {version}` (which starts the servers it needs with
# `scripts/apache.sh`). Capture anew to change this file; do not edit it.
#
# name <TAB> request|reply|event <TAB> record <TAB> hex of the complete frame, length word included
#
# The first exchange of a connection is ConnectRequest and ConnectResponse without a header. Every
# other request is RequestHeader + record, every reply and event ReplyHeader + record. `-` is a frame
# that ends with its header; Malformed is a body that is deliberately not that operation's record.
# MultiRequest and MultiResponse are the bodies of multi and multiRead, ErrorResponse is the int after
# the header of an addWatch reply.
# Lines of one name are in the order in which they crossed the wire. A server that closes the
# connection is noted in a comment."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def quorum_address():
    """For a server of an ensemble: host, quorum port, election port."""
    return f"127.0.0.1:{free_port()}:{free_port()}"


class Capture:
    """One release, its servers and what they said."""

    def __init__(self, version):
        self.version = version
        self.release = tuple(int(part) for part in version.split("."))
        self.recorder = wire.Recorder()

    def since(self, *release):
        return self.release >= release

    def fixed_in(self, *releases):
        """Whether this is one of these releases, a later one of its line, or of a later line."""
        line = self.release[:2]
        return (any(line == release[:2] and self.release >= release for release in releases)
                or line > max(releases)[:2])

    @contextlib.contextmanager
    def server(self, section, *arguments):
        """Runs a server of its own and yields its connect string."""
        settings = " ".join(arguments) or "defaults of apache.sh"
        self.recorder.section(f"{section}: {settings}")
        started = subprocess.run([APACHE, "start", self.version, *arguments], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
        fields = dict(field.split("=", 1) for field in started.split())
        try:
            yield fields["connect"]
        finally:
            subprocess.run([APACHE, "stop", fields["dir"]], check=True)

    def connection(self, connect):
        return wire.Connection(connect, self.recorder)

    @contextlib.contextmanager
    def session(self, connect, name, **handshake):
        with self.connection(connect) as connection:
            connection.handshake(f"connect/for-{name}", **handshake)
            yield connection

    @contextlib.contextmanager
    def unrecorded_session(self, connect):
        """For changes by somebody else, whose frames are nothing new."""
        with wire.Connection(connect, wire.Recorder()) as connection:
            connection.handshake("connect")
            yield connection


# --- sessions ----------------------------------------------------------------


def connects(capture, connect):
    with capture.connection(connect) as connection:
        connection.handshake("connect/new")
        session = {"session_id": connection.session_id, "password": connection.password}
        wrong = {"session_id": connection.session_id, "password": b"\x01" * 16}
        with capture.connection(connect) as renewed:
            renewed.handshake("connect/renewed", **session)
        with capture.connection(connect) as impostor:
            impostor.handshake("connect/wrong-password", **wrong)
            impostor.expect_closed("connect/wrong-password")
        with capture.connection(connect) as last:
            last.handshake("connect/for-close-session", **session)
            last.call("close-session", wire.CLOSE_SESSION)
            last.expect_closed("close-session")
        with capture.connection(connect) as late:
            late.handshake("connect/expired", **session)
            late.expect_closed("connect/expired")
        with capture.connection(connect) as late:
            late.handshake("connect/expired-without-read-only", read_only=None, **session)
            late.expect_closed("connect/expired-without-read-only")

    for name, options in {
        "read-only-accepted": {"read_only": True},
        "without-read-only": {"read_only": None},
        "shortest-timeout": {"timeout": 0},
        "longest-timeout": {"timeout": 2**31 - 1},
        "negative-timeout": {"timeout": -1},
    }.items():
        with capture.connection(connect) as connection:
            connection.handshake(f"connect/{name}", **options)

    with capture.connection(connect) as connection:
        connection.handshake_refused("connect/zxid-ahead", last_zxid=2**40)


def pings(capture, connect):
    with capture.session(connect, "ping") as session:
        session.call("ping", wire.PING, xid=wire.PING_XID)
        session.request("ping/ordinary-xid", wire.PING)
        assert session.reply("ping/ordinary-xid", wire.PING).xid == wire.PING_XID


def request_after_close_session(capture, connect):
    """Not SESSIONEXPIRED: the server closes before it answers."""
    with capture.session(connect, "request-after-close-session") as session:
        session.request("close-session/pipelined", wire.CLOSE_SESSION)
        session.request("create/after-close-session", wire.CREATE, create("/late"))
        session.reply("close-session/pipelined", wire.CLOSE_SESSION)
        session.expect_closed("create/after-close-session")


# --- nodes -------------------------------------------------------------------


def creates(capture, connect):
    with capture.session(connect, "create") as session:
        def op1(name, path, err=0, **options):
            session.call(f"create/{name}", wire.CREATE, create(path, **options), err=err)

        op1("persistent", "/create")
        op1("null-data", "/create/null", data=None)
        op1("empty-data", "/create/empty", data=b"")
        op1("unicode-path", "/create/\u017elu\u0165ou\u010dk\u00fd-\u65e5\u672c")
        op1("several-acls", "/create/acls",
            acls=acl((1, "world", "anyone"), (31, "digest", OWN), (3, "ip", "127.0.0.1/8")))
        op1("ephemeral", "/create/ephemeral", flags=EPHEMERAL)
        op1("sequential", "/create/seq-", flags=SEQUENTIAL)
        op1("ephemeral-sequential", "/create/eseq-", flags=EPHEMERAL_SEQUENTIAL)
        op1("sequential-without-prefix", "/create/", flags=SEQUENTIAL)
        op1("read-only-parent", "/create/guarded", acls=acl((1, "world", "anyone")))

        op1("bad-arguments-flags", "/create/f", BAD_ARGUMENTS, flags=99)
        op1("bad-arguments-path", "/create/\x01", BAD_ARGUMENTS)
        op1("no-node", "/missing/child", NO_NODE)
        op1("no-auth", "/create/guarded/child", NO_AUTH)
        op1("no-children-for-ephemerals", "/create/ephemeral/child", NO_CHILDREN_FOR_EPHEMERALS)
        op1("node-exists", "/create", NODE_EXISTS)
        op1("invalid-acl-empty", "/create/a", INVALID_ACL, acls=acl())
        op1("invalid-acl-scheme", "/create/a", INVALID_ACL, acls=acl((31, "nobody", "x")))

        def malformed(name, body, err=MARSHALLING_ERROR):
            session.call(f"create/{name}", wire.CREATE, body, err=err, malformed=True)

        malformed("marshalling-error-null-path", create(None))
        malformed("marshalling-error-truncated", create("/create/t")[:12])
        malformed("trailing-bytes", create("/create/more") + b"more", err=0)

        session.call("create2/persistent", wire.CREATE2, create("/create/2"))
        session.call("create2/ephemeral", wire.CREATE2, create("/create/2e", flags=EPHEMERAL))
        session.call("create2/sequential", wire.CREATE2, create("/create/2s-", flags=SEQUENTIAL))
        session.call("create2/node-exists", wire.CREATE2, create("/create/2"), err=NODE_EXISTS)
        session.call("create-container", wire.CREATE_CONTAINER, create("/create/container", flags=CONTAINER))
        session.call("create-ttl", wire.CREATE_TTL, create_ttl("/create/ttl", HOUR))
        session.call("create-ttl/sequential", wire.CREATE_TTL, create_ttl("/create/ttl-", HOUR, TTL_SEQUENTIAL))
        session.call("create-ttl/bad-arguments-zero", wire.CREATE_TTL, create_ttl("/create/ttl0", 0),
                     err=BAD_ARGUMENTS)
        for kind in ["2e", "container", "ttl"]:
            session.call(f"exists/created-{kind}", wire.EXISTS, path_watch(f"/create/{kind}"))


def nodes(capture, connect):
    """Everything but creation, on nodes of its own."""
    with capture.session(connect, "nodes") as session:
        for path in ["/n", "/n/a", "/n/a/b", "/n/c"]:
            session.call(f"create/node{path}", wire.CREATE, create(path))
        session.call("create/node/n/null", wire.CREATE, create("/n/null", data=None))
        session.call("create/node/n/secret", wire.CREATE, create("/n/secret", acls=acl((31, "digest", OWN))))
        reads(capture, session)
        writes(session)
        access_control(capture, session)


def reads(capture, session):
    def each(operation, op, body, cases):
        for name, path, err in cases:
            session.call(f"{operation}{name}", op, body(path), err=err)

    missing = ("/no-node", "/n/x", NO_NODE)
    secret = ("/no-auth", "/n/secret", NO_AUTH)
    # Without READ, exists was allowed before 3.8.4 and 3.9.2 (ZOOKEEPER-2590).
    secret_exists = ("/no-auth", "/n/secret", NO_AUTH if capture.fixed_in((3, 8, 4), (3, 9, 2)) else 0)
    each("exists", wire.EXISTS, path_watch, [("", "/n/a", 0), ("/root", "/", 0), missing, secret_exists])
    each("get-data", wire.GET_DATA, path_watch,
         [("", "/n/a", 0), ("/null", "/n/null", 0), ("/empty", "/create/empty", 0),
          ("/config", "/zookeeper/config", 0), missing, secret])
    each("get-children", wire.GET_CHILDREN, path_watch,
         [("", "/n", 0), ("/none", "/n/c", 0), missing, secret])
    each("get-children2", wire.GET_CHILDREN2, path_watch,
         [("", "/n", 0), ("/none", "/n/c", 0), missing, secret])
    session.call("sync", wire.SYNC, ustring("/n"))
    session.call("sync/not-a-path", wire.SYNC, ustring("any text"))
    if not capture.since(3, 6):
        return
    each("get-all-children-number", wire.GET_ALL_CHILDREN_NUMBER, ustring, [("", "/n", 0), missing, secret])
    session.call("create/node/n/mine", wire.CREATE, create("/n/mine", flags=EPHEMERAL))
    each("get-ephemerals", wire.GET_EPHEMERALS, ustring, [("", "/n", 0), ("/none", "/elsewhere", 0), ("/all", None, 0)])


def writes(session):
    def set_data_case(name, path, data, version=-1, err=0):
        session.call(f"set-data{name}", wire.SET_DATA, set_data(path, data, version), err=err)

    set_data_case("", "/n/a", b"new", 0)
    set_data_case("/any-version", "/n/a", b"newer")
    set_data_case("/null", "/n/a", None)
    set_data_case("/bad-version", "/n/a", b"", 9, BAD_VERSION)
    set_data_case("/no-node", "/n/x", b"", err=NO_NODE)
    set_data_case("/no-auth", "/n/secret", b"", err=NO_AUTH)

    def delete_case(name, path, version=-1, err=0):
        session.call(f"delete{name}", wire.DELETE, path_version(path, version), err=err)

    delete_case("", "/n/a/b", 0)
    delete_case("/bad-version", "/n/a", 0, BAD_VERSION)
    delete_case("/no-node", "/n/a/b", err=NO_NODE)
    delete_case("/not-empty", "/n", err=NOT_EMPTY)
    delete_case("/reserved", "/zookeeper", err=BAD_ARGUMENTS)


def access_control(capture, session):
    def set_acl_case(name, acls, version=-1, err=0):
        session.call(f"set-acl{name}", wire.SET_ACL, set_acl("/n/c", acls, version), err=err)

    def get_acl_case(name, path, err=0):
        session.call(f"get-acl{name}", wire.GET_ACL, ustring(path), err=err)

    def authenticate(name, credential):
        session.call(f"auth/{name}", wire.AUTH, auth_packet("digest", credential), xid=wire.AUTH_XID)

    get_acl_case("", "/n/c")
    get_acl_case("/no-node", "/n/x", NO_NODE)
    get_acl_case("/no-auth", "/n/secret", NO_AUTH)
    set_acl_case("/bad-version", OPEN_ACL, 4, BAD_VERSION)
    set_acl_case("/invalid-acl", acl((31, "auth", "")), err=INVALID_ACL)
    set_acl_case("", acl((1, "world", "anyone"), (31, "digest", OWN)), 0)
    set_acl_case("/no-auth", OPEN_ACL, err=NO_AUTH)
    get_acl_case("/masked", "/n/c")
    if capture.since(3, 7):
        session.call("who-am-i", wire.WHO_AM_I)
    authenticate("digest", OWN_CREDENTIAL)
    get_acl_case("/unmasked", "/n/c")
    set_acl_case("/auth-expanded", acl((31, "auth", "")))
    get_acl_case("/auth-expanded", "/n/c")
    authenticate("super", SUPER_CREDENTIAL)
    if capture.since(3, 7):
        session.call("who-am-i/authenticated", wire.WHO_AM_I)


# --- several operations at once ----------------------------------------------


def multis(capture, connect):
    with capture.session(connect, "multi") as session:
        def case(name, *operations, op=wire.MULTI, **options):
            session.call(name, op, multi(*operations), **options)

        case("multi/empty")
        case("multi/all-kinds",
             (wire.CREATE, create("/m")),
             (wire.CREATE2, create("/m/2")),
             (wire.CREATE_CONTAINER, create("/m/container", flags=CONTAINER)),
             (wire.CREATE_TTL, create_ttl("/m/ttl", HOUR)),
             (wire.CREATE, create("/m/seq-", flags=SEQUENTIAL)),
             (wire.SET_DATA, set_data("/m", b"set", 0)),
             (wire.CHECK, path_version("/m", 1)),
             (wire.DELETE, path_version("/m/2", 0)))
        case("multi/check-only", (wire.CHECK, path_version("/m", 1)))
        case("multi/abort-bad-version",
             (wire.SET_DATA, set_data("/m", b"lost")),
             (wire.CHECK, path_version("/m", 7)),
             (wire.DELETE, path_version("/m/ttl")))
        case("multi/abort-no-node", (wire.DELETE, path_version("/m/missing")), (wire.CREATE, create("/m/never")))
        case("multi/abort-node-exists", (wire.CREATE2, create("/m/new")), (wire.CREATE2, create("/m/new")))
        # Reads do not belong into a multi, other operations into neither.
        case("multi/marshalling-error-read", (wire.CREATE, create("/m/x")), (wire.GET_DATA, path_watch("/m")),
             err=MARSHALLING_ERROR)
        case("multi/marshalling-error-op", (wire.EXISTS, path_watch("/m")), err=MARSHALLING_ERROR, malformed=True)
        if not capture.since(3, 6):
            return
        case("multi-read",
             (wire.GET_DATA, path_watch("/m")),
             (wire.GET_CHILDREN, path_watch("/m")),
             (wire.GET_DATA, path_watch("/m/missing")),
             (wire.GET_DATA, path_watch("/n/secret")),
             (wire.GET_CHILDREN, path_watch("/m/ttl")), op=wire.MULTI_READ)
        case("multi-read/empty", op=wire.MULTI_READ)
        # An error with a body: without a single read the server still ends an empty result.
        case("multi-read/marshalling-error", (wire.DELETE, path_version("/m")), op=wire.MULTI_READ,
             err=MARSHALLING_ERROR)


# --- watches -----------------------------------------------------------------


def one_shot_watches(capture, connect):
    """Each change is made by the session that watches: its event comes before its reply."""
    with capture.session(connect, "watches") as session:
        session.call("watch/exists-missing", wire.EXISTS, path_watch("/w", True), err=NO_NODE)
        session.call("watch/node-created", wire.CREATE, create("/w"))
        session.call("watch/get-data", wire.GET_DATA, path_watch("/w", True))
        session.call("watch/node-data-changed", wire.SET_DATA, set_data("/w", b"1"))
        session.call("watch/get-children", wire.GET_CHILDREN, path_watch("/w", True))
        session.call("watch/node-children-changed", wire.CREATE, create("/w/c"))
        # Two watches, one event.
        session.call("watch/get-children2", wire.GET_CHILDREN2, path_watch("/w/c", True))
        session.call("watch/exists", wire.EXISTS, path_watch("/w/c", True))
        session.call("watch/node-deleted", wire.DELETE, path_version("/w/c"))

        session.call("watch/get-data-again", wire.GET_DATA, path_watch("/w", True))
        session.call("check-watches", wire.CHECK_WATCHES, path_type("/w", DATA))
        session.call("check-watches/no-watcher", wire.CHECK_WATCHES, path_type("/w", CHILDREN), err=NO_WATCHER)
        session.call("remove-watches", wire.REMOVE_WATCHES, path_type("/w", DATA))
        session.call("remove-watches/no-watcher", wire.REMOVE_WATCHES, path_type("/w", ANY), err=NO_WATCHER)
        session.call("remove-watches/marshalling-error", wire.REMOVE_WATCHES, path_type("/w", 9),
                     err=MARSHALLING_ERROR)

        session.call("watch/get-data-for-other", wire.GET_DATA, path_watch("/w", True))
        with capture.unrecorded_session(connect) as other:
            other.call("set", wire.SET_DATA, set_data("/w", b"2"))
            session.event("watch/by-other-session")


def set_watches(capture, connect):
    with capture.session(connect, "set-watches") as session:
        for path in ["/sw", "/sw/changed", "/sw/same", "/sw/parent"]:
            reply = session.call(f"set-watches/create{path}", wire.CREATE, create(path))
        seen = i64(reply.zxid)
        session.call("set-watches/change", wire.SET_DATA, set_data("/sw/changed", b"1"))
        session.call("set-watches/add-child", wire.CREATE, create("/sw/parent/child"))

        # Of each list some paths have an event to tell and one is armed.
        lists = (strings(["/sw/changed", "/sw/gone", "/sw/same"]) + strings(["/sw/same", "/sw/missing"])
                 + strings(["/sw/parent", "/sw/gone2", "/sw/same"]))
        empty = strings([])
        session.call("set-watches", wire.SET_WATCHES, seen + lists)
        session.call("set-watches/reserved-xid", wire.SET_WATCHES, seen + empty * 3, xid=wire.SET_WATCHES_XID)
        session.call("set-watches/marshalling-error-null", wire.SET_WATCHES, seen + strings(None) + empty * 2,
                     err=MARSHALLING_ERROR, malformed=True)
        session.call("set-watches/armed-exist", wire.CREATE, create("/sw/missing"))
        session.call("set-watches/armed-data", wire.SET_DATA, set_data("/sw/same", b"1"))
        session.call("set-watches/armed-child", wire.CREATE, create("/sw/same/child"))
        if not capture.since(3, 6):
            return
        session.call("set-watches2", wire.SET_WATCHES2,
                     seen + lists + strings(["/sw/persistent"]) + strings(["/sw/recursive"]))
        session.call("set-watches2/armed-persistent", wire.CREATE, create("/sw/persistent"))
        session.call("set-watches2/armed-recursive", wire.CREATE, create("/sw/recursive"))


def persistent_watches(capture, connect):
    with capture.session(connect, "persistent-watches") as session:
        session.call("add-watch/persistent", wire.ADD_WATCH, path_type("/p", PERSISTENT_WATCH))
        session.call("add-watch/recursive", wire.ADD_WATCH, path_type("/r", PERSISTENT_RECURSIVE_WATCH))
        session.call("add-watch/marshalling-error", wire.ADD_WATCH, path_type("/r", 7), err=MARSHALLING_ERROR)
        for name, path in [("persistent", "/p"), ("recursive", "/r")]:
            session.call(f"{name}/create", wire.CREATE, create(path))
            session.call(f"{name}/create-child", wire.CREATE, create(f"{path}/c"))
            session.call(f"{name}/set-data", wire.SET_DATA, set_data(path, b"1"))
            session.call(f"{name}/delete-child", wire.DELETE, path_version(f"{path}/c"))
            session.call(f"{name}/delete", wire.DELETE, path_version(path))
        session.call("persistent/multi", wire.MULTI,
                     multi((wire.CREATE, create("/p")), (wire.SET_DATA, set_data("/p", b"2")),
                           (wire.DELETE, path_version("/p"))))
        if not capture.since(3, 9):
            return
        session.call("remove-watches/persistent", wire.REMOVE_WATCHES, path_type("/p", WATCHER_PERSISTENT))
        session.call("remove-watches/recursive", wire.REMOVE_WATCHES, path_type("/r", WATCHER_PERSISTENT_RECURSIVE))


# --- what ends a connection ---------------------------------------------------


def closes_after(capture, connect, name, op, body=b"", err=UNIMPLEMENTED, xid=None):
    with capture.session(connect, name) as session:
        session.call(name, op, body, err=err, xid=xid)
        session.expect_closed(name)


def refusals(capture, connect):
    def refused(name, op, body=b"", **options):
        closes_after(capture, connect, name, op, body, **options)

    refused("unknown-op", 42)
    refused("unknown-op/notification", 0)
    # Before, there was no reply and the log was damaged (ZOOKEEPER-2623).
    if capture.fixed_in((3, 8, 5), (3, 9, 3)):
        refused("check/outside-multi", wire.CHECK, path_version("/n"))
    if not capture.since(3, 6):
        refused("multi-read/unimplemented", wire.MULTI_READ, multi((wire.GET_DATA, path_watch("/n"))))
        refused("get-ephemerals/unimplemented", wire.GET_EPHEMERALS, ustring("/"))
        refused("get-all-children-number/unimplemented", wire.GET_ALL_CHILDREN_NUMBER, ustring("/"))
        refused("set-watches2/unimplemented", wire.SET_WATCHES2, i64(0) + strings([]) * 5)
        refused("add-watch/unimplemented", wire.ADD_WATCH, path_type("/n", PERSISTENT_WATCH))
    if not capture.since(3, 7):
        refused("who-am-i/unimplemented", wire.WHO_AM_I)
    for name, packet in {"unknown-scheme": auth_packet("nobody", b"x"), "null": auth_packet("digest", None)}.items():
        refused(f"auth/{name}", wire.AUTH, packet, err=AUTH_FAILED, xid=wire.AUTH_XID)
    with capture.session(connect, "sasl") as session:
        session.call("sasl/not-configured", wire.SASL, buffer(b"token"))


# --- one server per configuration ----------------------------------------------


def standalone(capture):
    with capture.server("standalone") as connect:
        connects(capture, connect)
        pings(capture, connect)
        request_after_close_session(capture, connect)
        creates(capture, connect)
        nodes(capture, connect)
        multis(capture, connect)
        one_shot_watches(capture, connect)
        set_watches(capture, connect)
        if capture.since(3, 6):
            persistent_watches(capture, connect)
        refusals(capture, connect)
        with capture.session(connect, "reconfig-disabled") as session:
            session.call("reconfig/disabled", wire.RECONFIG, reconfig(leaving="2"), err=RECONFIG_DISABLED)


def without_extended_types(capture):
    with capture.server("no extended types", "extendedTypesEnabled=false", "reconfigEnabled=true") as connect:
        with capture.session(connect, "extended-types") as session:
            session.call("create-ttl/unimplemented", wire.CREATE_TTL, create_ttl("/ttl", HOUR), err=UNIMPLEMENTED)
            session.call("reconfig/unimplemented", wire.RECONFIG, reconfig(leaving="2"), err=UNIMPLEMENTED)


def with_quota(capture):
    with capture.server("hard quota", "enforceQuota=true") as connect:
        with capture.session(connect, "quota") as session:
            limits = b"count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=2"
            for path, data in [("/q", b""), ("/zookeeper/quota/q", b""),
                               ("/zookeeper/quota/q/zookeeper_limits", limits),
                               ("/zookeeper/quota/q/zookeeper_stats", b"count=1,bytes=0"), ("/q/1", b"")]:
                session.call(f"quota/create{path}", wire.CREATE, create(path, data))
            session.call("create/quota-exceeded", wire.CREATE, create("/q/2"), err=QUOTA_EXCEEDED)


def with_throttling(capture):
    """One request at a time; those that wait for more than a millisecond are refused."""
    settings = ["request_throttle_max_requests=1", "request_throttle_stall_time=50",
                "request_throttle_drop_stale=false", "throttled_op_wait_time=1"]
    with capture.server("throttling", *settings) as connect:
        with capture.session(connect, "throttling") as session:
            names = [f"throttled/{number}" for number in range(1, 6)]
            for name in names:
                session.request(name, wire.CREATE, create(f"/{name.replace('/', '-')}"))
            errors = [session.reply(name, wire.CREATE).err for name in names]
            assert errors[0] == 0 and THROTTLED_OP in errors, f"throttled to {errors}"


def with_required_sasl(capture):
    with capture.server("SASL required", "sessionRequireClientSASLAuth=true",
                        "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider") as connect:
        closes_after(capture, connect, "create/session-closed-require-sasl-auth", wire.CREATE, create("/a"),
                     err=SESSION_CLOSED_REQUIRE_SASL_AUTH)


def ensemble_of_one(capture):
    settings = ["standaloneEnabled=false", "reconfigEnabled=true", "localSessionsEnabled=true",
                "initLimit=10", "syncLimit=5", f"server.1={quorum_address()}"]
    with capture.server("ensemble of one", *settings) as connect:
        with capture.session(connect, "ensemble") as session:
            session.call("create/ephemeral-on-local-session", wire.CREATE, create("/e", flags=EPHEMERAL),
                         err=EPHEMERAL_ON_LOCAL_SESSION)
            session.call("get-data/ensemble-config", wire.GET_DATA, path_watch("/zookeeper/config", True))
            joiner = f"server.2={quorum_address()}:participant;127.0.0.1:{free_port()}"
            observer = joiner.replace("participant", "observer")
            session.call("reconfig/no-auth", wire.RECONFIG, reconfig(joining=observer), err=NO_AUTH)
            session.call("auth/super-for-reconfig", wire.AUTH, auth_packet("digest", SUPER_CREDENTIAL),
                         xid=wire.AUTH_XID)
            session.call("reconfig/bad-version", wire.RECONFIG, reconfig(joining=observer, config_id=99),
                         err=BAD_VERSION)
            session.call("reconfig/bad-arguments", wire.RECONFIG, reconfig(joining="nonsense"), err=BAD_ARGUMENTS)
            session.call("reconfig/new-config-no-quorum", wire.RECONFIG, reconfig(joining=joiner),
                         err=NEW_CONFIG_NO_QUORUM)
            # Its event, on /zookeeper/config, comes first.
            session.call("reconfig", wire.RECONFIG, reconfig(joining=observer))


def read_only(capture):
    """Half of an ensemble of two, so without a quorum for ever."""
    settings = ["-Dreadonlymode.enabled=true", "localSessionsEnabled=true", "initLimit=10", "syncLimit=5",
                f"server.1={quorum_address()}", f"server.2={quorum_address()}"]
    with capture.server("read-only server", *settings) as connect:
        with capture.connection(connect) as connection:
            connection.handshake_refused("connect/read-only-not-accepted")
        with capture.session(connect, "read-only-server", read_only=True) as session:
            session.call("get-children/read-only-server", wire.GET_CHILDREN, path_watch("/"))
            session.call("create/not-read-only", wire.CREATE, create("/a"), err=NOT_READ_ONLY)
            session.call("sync/not-read-only", wire.SYNC, ustring("/"), err=NOT_READ_ONLY)


def main(version):
    capture = Capture(version)
    standalone(capture)
    without_extended_types(capture)
    if capture.since(3, 7):
        with_quota(capture)
        with_throttling(capture)
    with_required_sasl(capture)
    ensemble_of_one(capture)
    read_only(capture)
    print(HEADER.format(version=version), *capture.recorder.lines, sep="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
