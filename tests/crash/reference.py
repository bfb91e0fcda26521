"""The clean run: the records that were counted, in one file, read once by nobody disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.crash import judge, traffic
from tests.crash.judge import Held
from tests.crash.oracle import Expected
from tests.crash.receiver import Receiver
from tests.e2e.running import tidegauge


@dataclass(frozen=True)
class Clean:
    """A clean run's end."""

    held: Held
    delivered: dict[str, int]


def run(folder: Path, expected: Expected, held: Held, closed_ms: int) -> Clean:
    """Read the counted records of closed windows again, without any fault.

    Of the stragglers of a place as many are read as were counted: they all vote alike. The
    lateness is so long that none is late.
    """
    folder.mkdir(parents=True)
    lines: list[bytes] = []
    for place in sorted(expected.by_place.keys() | expected.late_able.keys()):
        if place[1] < closed_ms:
            counted = expected.stragglers[place] - held.late[place]
            lines += expected.by_place[place] + expected.late_able[place][: max(counted, 0)]
    (folder / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    source = {"kind": "file", "path": "records.jsonl"}
    stream = traffic.write_stream(folder, source, lateness="3650d")
    hook = Receiver()
    try:
        traffic.write_settings(folder, hook.url)
        url = f"sqlite:///{folder}/clean.db"
        tidegauge("run", stream, "--drain", cwd=folder, database=url, timeout=1800)
        return Clean(judge.read(url), dict(hook.delivered))
    finally:
        hook.close()
