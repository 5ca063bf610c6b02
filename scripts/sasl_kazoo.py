"""kazoo's SASL DIGEST-MD5 with the server that the first argument names.

User `bob` has the password `bobsecret`. Fails with an assertion or an exception.
"""

import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoAuthError
from kazoo.security import ACL, Id, Permissions

SERVER = sys.argv[1]


def client(user=None, password=None):
    options = None
    if user:
        options = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
    return KazooClient(SERVER, sasl_options=options, timeout=10)


bob = client("bob", "bobsecret")
bob.start(timeout=30)
bob.create("/bob", b"x", acl=[ACL(Permissions.ALL, Id("sasl", "bob"))])
assert bob.get("/bob")[0] == b"x"

stranger = client()
stranger.start(timeout=30)
try:
    stranger.get("/bob")
    raise AssertionError("a stranger reads what is bob's")
except NoAuthError:
    pass

# kazoo takes itself for connected before SASL is complete: an operation tells.
impostor = client("bob", "wrong")
try:
    impostor.start(timeout=10)
    impostor.get("/bob")
    raise AssertionError("a wrong password lets in")
except (KazooException, impostor.handler.timeout_exception):
    pass
finally:
    impostor.stop()
    impostor.close()

for each in (bob, stranger):
    each.stop()
    each.close()
print("kazoo: let in with the right password, refused with a wrong one")
