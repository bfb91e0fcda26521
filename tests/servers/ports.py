"""Free ports on loopback, for servers that cannot choose one themselves."""

import random
import socket

# Below the range from which Linux takes the local ports of outgoing connections (32768-60999).
# A client that retries a stopped server inside that range may be given the server's own port,
# connect to itself and keep the port from the server's restart.
LOWEST, HIGHEST = 20_000, 32_000

HOST = "127.0.0.1"

_given: set[int] = set()
"""Ports that this process was given: their servers may not listen yet, or not at the moment."""


def free_port() -> int:
    """Return a loopback port that nobody listens on now, another one each time.

    Random rather than the next one, so that two test runs at a time rarely try the same.
    """
    for _ in range(200):
        port = random.randint(LOWEST, HIGHEST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port between {LOWEST} and {HIGHEST}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(address: str) -> bool:
    """Tell whether a server accepts connections at `address` (`host:port`)."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False
