"""Seeded English-like records: two texts of the demo's spam filter each, about 300 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tidegauge_service.clock import to_iso
from tidegauge_service.demo.generator import record_at
from tidegauge_service.demo.plan import Plan

START_MS = 1_600_000_000_000 // 3_600_000 * 3_600_000

_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_QUIET = Plan(dirty_share=0.0)


def records(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return *count* records; `author` is None in some, `region` has ten values."""
    return list(_records(count, seed))


def _records(count: int, seed: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        first, second = record_at(seed, 2 * n, _QUIET), record_at(seed, 2 * n + 1, _QUIET)
        yield {
            "id": f"r{n:07d}",
            "timestamp": to_iso(START_MS + n),
            "text": f"{first['text']} {second['text']}",
            "channel": first["channel"],
            "region": f"region {n % 10}",
            "author": first["author"],
            "links": first["links"],
            "score": first["model"]["score"],
        }


def as_json(some: Sequence[dict[str, Any]], records_per_window: int, window_ms: int) -> list[bytes]:
    """Encode records as a service would log them, about 500 bytes each, spread over windows."""
    step = window_ms / records_per_window
    return [
        msgspec.json.encode(
            record | {"timestamp": to_iso(START_MS + int(n * step)), "agent": _AGENT}
        )
        for n, record in enumerate(some)
    ]
