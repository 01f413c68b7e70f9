"""Ports for servers that the tests start and that cannot choose their own."""

import random
import socket

# Below those that the system gives to connections, and to servers that ask for any port: gRPC
# shares a port without an error, and then half of a server's clients speak to another one.
_FIRST, _END = 20_000, 32_768


def free_port(*, twin: int = 0) -> int:
    """Return a port that is free, as is the one that is `twin` above it."""
    while True:
        port = random.SystemRandom().randrange(_FIRST, _END - twin)
        if _is_free(port) and _is_free(port + twin):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
