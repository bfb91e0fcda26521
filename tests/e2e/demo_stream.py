"""The demo's story as a stream file: 120 windows, with a shift at 66 and recovery at 100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import tidegauge_service.demo

WINDOWS = 120
RECORDS = WINDOWS * 300


def write_demo_stream(folder: Path, **changes: Any) -> Path:
    """Write stream.yaml and probes.yaml; *changes* replace top-level keys."""
    [package] = tidegauge_service.demo.__path__
    for name in ("probes.yaml", "stream.yaml"):
        (folder / name).write_text(Path(package, name).read_text())
    path = folder / "stream.yaml"
    config = yaml.safe_load(path.read_text())
    config["source"] = {"kind": "demo", "seed": 7, "limit": RECORDS}
    path.write_text(yaml.safe_dump(config | changes))
    return path


def write_settings(folder: Path, **settings: Any) -> None:
    """Write tidegauge.yaml, which a process started in *folder* reads."""
    (folder / "tidegauge.yaml").write_text(yaml.safe_dump(settings))
