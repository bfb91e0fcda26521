"""Grafana dashboards, provisioning files and Prometheus rules: generated, and shipped as data.

    files()         the paths there are, such as ``json/tidegauge-coverage.json``
    read(path)      the content of one
    export(folder)  writes all of them out, for Grafana and Prometheus to read

Importing this package needs nothing. Generating the dashboards again (``python -m
tidegauge_dashboards.generate``) needs grafana-foundation-sdk, a development dependency.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files as resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

__all__ = ["export", "files", "read"]

_SUFFIXES = (".json", ".yml", ".yaml")


def files() -> tuple[PurePosixPath, ...]:
    """Return the paths of all files that are shipped, relative to this package, sorted."""
    return tuple(sorted(_walk(resources(__name__), PurePosixPath())))


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[PurePosixPath]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, path / entry.name)
        elif entry.name.endswith(_SUFFIXES):
            yield path / entry.name


def read(path: PurePosixPath) -> str:
    """Return the content of one of ``files()``."""
    return resources(__name__).joinpath(*path.parts).read_text(encoding="utf-8")


def export(folder: Path) -> list[Path]:
    """Write all files below *folder*, which need not exist, and return where they are now."""
    written = []
    for path in files():
        target = folder.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(read(path), encoding="utf-8", newline="\n")
        written.append(target)
    return written
