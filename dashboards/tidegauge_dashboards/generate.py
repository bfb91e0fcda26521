"""Generate the dashboards again: ``python -m tidegauge_dashboards.generate [--check]``.

The result is committed. ``--check`` writes nothing and fails if the committed files differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tidegauge_dashboards import coverage

FOLDER: Final = Path(__file__).parent / "json"

DASHBOARDS: Final[Mapping[str, Callable[[], Dashboard]]] = {coverage.UID: coverage.build}


def generated() -> dict[str, str]:
    """Return file name → content of every dashboard."""
    return {f"{uid}.json": _text(build()) for uid, build in DASHBOARDS.items()}


def _text(made: Dashboard) -> str:
    document = json.loads(json.dumps(made, cls=JSONEncoder))
    _number_panels(document)
    _remove_auto(document)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _number_panels(document: dict[str, Any]) -> None:
    """Give every panel an id of its own; links to panels and alerts refer to it."""
    for number, panel in enumerate(_panels(document), start=1):
        panel["id"] = number


def _panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _remove_auto(document: dict[str, Any]) -> None:
    """Remove what belongs to variables of type interval, and which the SDK writes to all."""
    for variable in document["templating"]["list"]:
        for key in [key for key in variable if key.startswith("auto")]:
            del variable[key]


def differing(folder: Path = FOLDER) -> list[str]:
    """Return the names of files that are not what would be generated: changed, missing, left."""
    wanted = generated()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted | there if wanted.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> None:
    """Write all dashboards, and remove the files of those that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = generated()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tidegauge_dashboards.generate")
    parser.add_argument("--check", action="store_true", help="fail if the files would change")
    if not parser.parse_args(arguments).check:
        write()
        return 0
    names = differing()
    if names:
        sys.stderr.write(f"out of date: {', '.join(names)}; run `make dashboards`\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
