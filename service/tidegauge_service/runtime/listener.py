"""The socket of page, API and metrics: taken before anything is started or printed.

A port that is taken must be an error at once, not after the workers have started and a link with
the token has been printed.
"""

from __future__ import annotations

import socket
from typing import Final

from tidegauge_service.errors import AddressUnusable

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address, and does not listen yet (uvicorn will).

    Raises AddressUnusable, which says what to change.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        msg = (
            f"cannot listen on {host}:{port}: {error}. What to do: set an address of "
            "this machine with --host or TIDEGAUGE_HOST"
        )
        raise AddressUnusable(msg) from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise _taken(host, port, error) from error
    opened.set_inheritable(False)  # a worker that outlives us must not hold the port
    return opened


def listen(bound: socket.socket) -> None:
    """Let connections come; AddressUnusable if another process that had bound it did so first."""
    try:
        bound.listen()
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, error: OSError) -> AddressUnusable:
    return AddressUnusable(
        f"cannot listen on {host}:{port}: {error.strerror or error}. What to do: stop "
        "the process that uses the port, or choose another port with --port or "
        "TIDEGAUGE_PORT"
    )


def link(bound: socket.socket) -> str:
    """Return the address as a browser on this machine takes it, e.g. ``http://127.0.0.1:8080``."""
    host, port = bound.getsockname()[:2]
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
