"""A schema registry, by the HTTP routes that Confluent's, Apicurio's, Karapace and others share."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2

from tidegauge_service.config.sources import SchemaRegistry
from tidegauge_service.errors import SettingsError, SourceError

TIMEOUT_S: Final = 10.0
MOST_BYTES: Final = 16 * 2**20
"""Maximum size of a response. The list of all subjects is the largest."""

CHUNK_BYTES: Final = 65_536
MOST_REFERENCES: Final = 100
NOT_FOUND: Final = 404


class NoSuchSchema(Exception):  # noqa: N818  (a verdict on the input that names it)
    """The registry answers, and has no such schema."""


class Registry:
    """Asks a registry. Nothing is kept here."""

    def __init__(self, config: SchemaRegistry, password: str | None, folder: Path) -> None:
        self._url = config.url.rstrip("/")
        given = config.password.get_secret_value() if config.password else password
        user = (config.username, given or "") if config.username else None
        self._client = httpx2.Client(auth=user, timeout=TIMEOUT_S, verify=_trust(config, folder))

    def schema(self, number: int) -> tuple[str, list[str]]:
        """Return an Avro schema, and those it refers to, each before what needs it.

        Raises NoSuchSchema; SourceError if the registry cannot be asked.
        """
        found = self._get(f"/schemas/ids/{number}")
        if found.get("schemaType", "AVRO") != "AVRO":
            msg = f"schema {number} is {found['schemaType']}, not Avro"
            raise NoSuchSchema(msg)
        needed: dict[tuple[str, int], str] = {}
        self._collect(found, needed)
        return str(found["schema"]), list(needed.values())

    def check(self) -> str:
        """Ask for anything; return what to tell the user. Raises SourceError."""
        return f"{len(self._get('/subjects'))} subjects"

    def _collect(self, found: Any, needed: dict[tuple[str, int], str]) -> None:
        for reference in found.get("references") or ():
            key = (str(reference["subject"]), int(reference["version"]))
            if key in needed:
                continue
            if len(needed) >= MOST_REFERENCES:
                msg = f"it references more than {MOST_REFERENCES} other schemas"
                raise NoSuchSchema(msg)
            other = self._get(f"/subjects/{quote(key[0], safe='')}/versions/{key[1]}")
            self._collect(other, needed)
            needed[key] = str(other["schema"])

    def _get(self, path: str) -> Any:
        try:
            with self._client.stream("GET", self._url + path) as answer:
                if answer.status_code == NOT_FOUND:
                    msg = f"the schema registry has no {path.removeprefix('/')}"
                    raise NoSuchSchema(msg)
                answer.raise_for_status()
                return json.loads(_body(answer))
        except (httpx2.HTTPError, ValueError) as error:
            msg = (
                f"cannot reach the schema registry at {self._url}{path}: {error}. Check "
                "that it is running, and check record.schema_registry and its password"
            )
            raise SourceError(msg) from error


def _body(answer: httpx2.Response) -> bytes:
    """Return what was answered; ValueError if it is larger than any schema."""
    found = bytearray()
    for part in answer.iter_bytes(CHUNK_BYTES):
        found += part
        if len(found) > MOST_BYTES:
            msg = f"its response is larger than {MOST_BYTES >> 20} MB"
            raise ValueError(msg)
    return bytes(found)


def _trust(config: SchemaRegistry, folder: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(
            cafile=str(folder / config.ssl_cafile) if config.ssl_cafile else None
        )
    except OSError as error:
        msg = f"cannot use record.schema_registry.ssl_cafile {config.ssl_cafile}: {error}"
        raise SettingsError(msg) from error
