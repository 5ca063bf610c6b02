"""kazoo over TLS with the server that the first argument names.

The second argument is a directory with `ca.pem`, and for `bob` and `eve` a certificate
and a key. Fails with an assertion or an exception.
"""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import ACL, Id, Permissions

SERVER, FILES = sys.argv[1:]
BOB = "CN=bob,O=tests"


def client(name=None):
    identity = {}
    if name:
        identity = {"certfile": f"{FILES}/{name}.pem", "keyfile": f"{FILES}/{name}.key"}
    return KazooClient(SERVER, use_ssl=True, ca=f"{FILES}/ca.pem", timeout=10, **identity)


bob = client("bob")
bob.start(timeout=30)
bob.create("/bob", b"x", acl=[ACL(Permissions.ALL, Id("auth", ""))])
assert bob.get("/bob")[0] == b"x"
acls, _ = bob.get_acls("/bob")
assert acls == [ACL(Permissions.ALL, Id("x509", BOB))], acls

eve = client("eve")
eve.start(timeout=30)
try:
    eve.get("/bob")
    raise AssertionError("eve reads what is bob's")
except NoAuthError:
    pass

nobody = client()
try:
    nobody.start(timeout=5)
    raise AssertionError("a client without a certificate is served")
except KazooTimeoutError:
    pass

for other in (bob, eve, nobody):
    other.stop()
    other.close()
