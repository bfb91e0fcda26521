"""What all receivers have in common, those of other packages too."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final

import httpx2

from tidegauge_alerts.receivers.checks import check_name

_SHOWN: Final = "tidegauge.shown"
_KEY: Final = "tidegauge.key"
_MANY: Final = "tidegauge.many"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and port that deliveries connect to. ``where`` is what may be shown of it."""

    host: str
    port: int
    where: str

    @classmethod
    def of_url(cls, url: str) -> Endpoint:
        """Return the endpoint of an http(s) URL; its path and query are not shown.

        >>> Endpoint.of_url("https://hooks.example.com/t0ken").where
        'https://hooks.example.com'
        """
        parsed = httpx2.URL(url)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        where = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
        return cls(parsed.raw_host.decode("ascii"), port, where)


@dataclass(frozen=True, slots=True, repr=False)
class Receiver:
    """Base class of receivers: a frozen dataclass whose fields are its keys in the settings.

    Subclasses set ``kind``, add fields (see ``secret_field``, ``address_field`` and
    ``key_field``), and override ``check`` and ``endpoints``.
    """

    kind: ClassVar[str] = ""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)
        self.check()

    def check(self) -> None:
        """Raise ReceiverError, without repeating a secret, if a value cannot be used."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what deliveries connect to; nothing for a receiver on this machine."""
        return ()

    @property
    def where(self) -> str:
        """Return where it is, without its secrets; empty for a receiver on this machine."""
        return ", ".join(endpoint.where for endpoint in self.endpoints)

    def __repr__(self) -> str:
        shown = (f"{f.name}={_shown(f.metadata, getattr(self, f.name))}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


def secret_field(**options: Any) -> Any:
    """Return a dataclass field that ``repr`` masks."""
    return field(metadata={_SHOWN: lambda _: "'***'"}, **options)


def address_field(*, many: bool = False, **options: Any) -> Any:
    """Return a dataclass field with a URL, of which ``repr`` shows the host and no more.

    *many*: the field is a tuple of URLs.
    """
    return field(metadata={_SHOWN: _masked, _MANY: many}, **options)


def key_field(name: str | None = None, *, many: bool = False, **options: Any) -> Any:
    """Return a dataclass field for the key *name* of the settings, e.g. a word of Python.

    *many*: the field is a tuple; in the settings, one text or a list of texts.
    """
    return field(metadata={_KEY: name, _MANY: many}, **options)


def key_of(metadata: Any, name: str) -> str:
    """Return the key that a field called *name* has in the settings."""
    return metadata.get(_KEY) or name


def is_many(metadata: Any) -> bool:
    """Tell whether a field is a tuple of texts."""
    return bool(metadata.get(_MANY))


def _shown(metadata: Any, value: object) -> str:
    shown = metadata.get(_SHOWN)
    return repr(value) if shown is None or value is None else shown(value)


def _masked(value: str | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(_masked(one) for one in value)})"
    return f"'{Endpoint.of_url(value).where}/…'"
