"""The records of a run: a pure function of the seed, one sequence for each partition.

Most records are on time: at most ``JITTER_MS`` (less than the lateness) behind the latest record
of their own partition, so no window they belong to can have been closed (the watermark is a
minimum over partitions). Some are stragglers, windows behind: each may be counted or late, as
closing happens to go, but all of them vote alike, so that counts can be told apart exactly. Some
are no records at all. Some come twice: a second offset is a second record.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

WINDOW_MS = 60_000
LATENESS_MS = 30_000
JITTER_MS = 20_000
START_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
BASELINE_WINDOWS = 30
PHASE_WINDOWS = 15
"""After the baseline the world shifts for so many windows, is as before for as many, …"""

CLASSES = ("HAM", "SPAM")

LFS_MODULE = """\
from tidegauge_probes import labeling_function


@labeling_function()
def deal(x):
    if "boom" in x.text:
        raise ValueError("an LF that fails on this text")
    return 1 if "deal" in x.text else -1


LFS = [deal]
"""

PROBES: dict[str, Any] = {
    "classes": list(CLASSES),
    "probes": [
        {"name": "mentions_free", "label": "SPAM", "keyword": {"any": ["free"]}},
        {"name": "thanks", "label": "HAM", "keyword": {"any": ["thanks"]}},
        {"name": "short", "label": "HAM", "length": {"unit": "words", "below": 3}},
        {"python": "crash_lfs:LFS"},
    ],
}

CALM = {
    "what is this about": 30,
    "thanks for all the fish": 30,
    "hi": 15,
    "free things for everybody": 10,
    "thanks for the free fish": 5,
    "a deal for all of you": 5,
    "boom goes the free deal": 2,
    "thanks": 3,
}
SHIFTED = {**CALM, "free things for everybody": 45, "a deal for all of you": 25}

STRAGGLER = {"text": "thanks for being late", "country": "DE"}

BROKEN = {
    "empty": b"",
    "not_json": b"{broken",
    "not_utf8": b'{"id": "\xff\xfe"}',
    "not_an_object": b"[1, 2]",
    "nul_byte": b'{"id": "a\0b"}',
    "missing_id": b'{"timestamp": "2020-01-01", "text": "hi"}',
    "missing_timestamp": b'{"id": "x", "text": "hi"}',
    "bad_timestamp": b'{"id": "x", "timestamp": "soon", "text": "hi"}',
    "future_timestamp": b'{"id": "x", "timestamp": "2100-01-01", "text": "hi"}',
}
"""Reason → an input that is no record."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How the traffic is made up."""

    partitions: int = 4
    per_window: int = 25
    """On-time records of one partition in one window."""
    stragglers: float = 0.02
    broken: float = 0.01
    twice: float = 0.005
    behind: tuple[int, int] = (60_000, 240_000)
    """How far stragglers lie behind, ms: from, to."""
    kinds: tuple[str, ...] = tuple(BROKEN)
    """Which inputs that are no records there are."""


def values(seed: int, partition: int, mix: Mix) -> Iterator[bytes]:
    """Yield the inputs of one partition, without end."""
    dice = random.Random(f"{seed}:{partition}")
    step_ms = WINDOW_MS // mix.per_window
    for n in count():
        base_ms = START_MS + JITTER_MS + n * step_ms
        roll = dice.random()
        if roll < mix.broken:
            yield BROKEN[dice.choice(mix.kinds)]
        elif roll < mix.broken + mix.stragglers and n > mix.per_window:
            at_ms = max(START_MS, base_ms - dice.randint(*mix.behind))
            yield message(f"s{partition}-{n}", at_ms, **STRAGGLER)
        else:
            value = _on_time(dice, partition, n, base_ms)
            yield value
            if roll > 1 - mix.twice:
                yield value


def _on_time(dice: random.Random, partition: int, n: int, base_ms: int) -> bytes:
    texts = SHIFTED if shifted(base_ms) else CALM
    [text] = dice.choices(list(texts), list(texts.values()))
    at_ms = base_ms - dice.randint(0, JITTER_MS)
    return message(
        f"r{partition}-{n}", at_ms, text=text, country=dice.choice(("DE", "DE", "FR", "IT"))
    )


def shifted(ms: int) -> bool:
    """Whether the world is another one at this time."""
    window = (ms - START_MS) // WINDOW_MS - BASELINE_WINDOWS
    return window >= 0 and window // PHASE_WINDOWS % 2 == 0


def message(record_id: str, at_ms: int, **fields: str) -> bytes:
    """Return the bytes of a record."""
    return json.dumps({"id": record_id, "timestamp": at_ms, **fields}).encode()


def last_message(partition: int, end_ms: int) -> bytes:
    """Return a record that lets every window up to *end_ms* close, and no later one."""
    return message(f"end-{partition}", end_ms + LATENESS_MS, text="hi", country="DE")


def write_stream(folder: Path, source: dict[str, Any], **changes: Any) -> Path:
    """Write stream.yaml and the LFs; *changes* replace top-level keys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "crash_lfs.py").write_text(LFS_MODULE)
    (folder / "probes.yaml").write_text(yaml.safe_dump(PROBES))
    until_ms = START_MS + BASELINE_WINDOWS * WINDOW_MS
    config: dict[str, Any] = {
        "name": "crash",
        "source": source,
        "record": {"id": "id", "timestamp": "timestamp", "text": "text"},
        "probes": "probes.yaml",
        "segment_by": ["country"],
        "window": f"{WINDOW_MS}ms",
        "lateness": f"{LATENESS_MS}ms",
        "baseline": {
            "from": datetime.fromtimestamp(START_MS / 1000, UTC).isoformat(),
            "until": datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(),
        },
        # All records of a window: those of a clean run stand elsewhere, and are drawn otherwise.
        "samples": {"each": 400},
        "alerts": {"receivers": ["hook"], "stale_after": "36500d"},
        "limits": {"commit_records": 200, "commit_interval": "200ms", "dead_letter_share": 1},
    }
    path = folder / "stream.yaml"
    path.write_text(yaml.safe_dump(config | changes))
    return path


def write_settings(folder: Path, hook_url: str) -> Path:
    """Write tidegauge.yaml: one webhook; nothing is pruned, for the records are of 2020."""
    path = folder / "tidegauge.yaml"
    hook = {"kind": "webhook", "url": hook_url, "timeout_s": 5, "allow_private": True}
    path.write_text(yaml.safe_dump({"receivers": {"hook": hook}, "retention": {"every": "3650d"}}))
    return path
