"""What a transport may connect to, and for how long.

A receiver's URL is a setting, but a setting can be wrong, and a name can be pointed elsewhere
later. Without care a webhook reaches what only this machine can reach: the cloud's metadata
service, a database on loopback (server-side request forgery, CWE-918). So the host is resolved
once, *every* address it has is checked, and the connection goes to a checked address: a name that
answers differently a second time (DNS rebinding) is not asked a second time. Host header and
TLS name stay those of the URL.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import httpcore2

from tidegauge_alerts.errors import AddressRefused

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host, at least one; raises OSError if there are none."""

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291, 2.4: all that is routed on the internet

# Global to Python 3.11, yet none of ours: protocol assignments (RFC 6890; Oracle's metadata
# service is 192.0.0.192), and the address at which Azure's host answers its machines.
_ALSO_PRIVATE: Final = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of *host*, in the system's order of preference.

    Raises OSError if there are none. The wait is the system resolver's: it takes no timeout.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label too long for IDNA
        raise OSError("it is not a host name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet.

    An IPv4 address that is wrapped in an IPv6 one (mapped, 6to4, NAT64) counts as itself.

    >>> [is_public(a) for a in ("93.184.215.14", "10.1.2.3", "::ffff:127.0.0.1", "fe80::1%eth0")]
    [True, False, False, False]
    """
    ip = _unwrap(ip_address(address))
    if any(ip in network for network in _ALSO_PRIVATE):
        return False
    if isinstance(ip, IPv6Address) and ip not in _UNICAST:
        return False
    return ip.is_global and not ip.is_multicast


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


class Deadline:
    """The end of one delivery. Timeouts for each read would let a slow answer last for ever."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, above 0; httpcore2.TimeoutException if there are none."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise httpcore2.TimeoutException
        return left


class CheckedNetwork(httpcore2.NetworkBackend):
    """Connects to public addresses, unless private ones are allowed, until a deadline."""

    def __init__(self, deadline: Deadline, resolver: Resolver, *, allow_private: bool) -> None:
        self._deadline = deadline
        self._resolve = resolver
        self._allow_private = allow_private
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  (the deadline is for everything)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of *host* that answers.

        Raises AddressRefused, or httpcore2's ConnectError or TimeoutException.
        """
        addresses = self._checked(host, port)
        failure: Exception = httpcore2.ConnectError("the host has no address")
        for tried, address in enumerate(addresses):
            # An address that swallows packets must leave time for the next one.
            share = self._deadline.left() / (len(addresses) - tried)
            try:
                stream = self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _checked(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError("the host name cannot be resolved") from error
        if self._allow_private:
            return addresses
        for address in addresses:
            if not is_public(address):
                raise AddressRefused(
                    f"its address {address} is private; if this is intentional, set "
                    "allow_private: true"
                )
        return addresses


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every operation ends with the delivery."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left()
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, left), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
