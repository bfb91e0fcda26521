"""A worker with lifted LFs counts what one without counts; an end is logged and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from tests.service import oracle
from tests.service.streams_for_tests import START, reading
from tidegauge_probes import LabelingFunction, ProbeSet, engine
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_service.clock import to_iso
from tidegauge_service.config.settings import Settings, load_settings
from tidegauge_service.errors import SettingsError
from tidegauge_service.metrics import meters
from tidegauge_service.runtime.pipeline import lifting_of

LFS = """
SPAM, ABSTAIN = 1, -1

def prize(x):
    return SPAM if "prize" in x.text.lower() else ABSTAIN

def many(x):
    return SPAM if x.links > 2 else ABSTAIN

def short(x):
    return 0 if len(x.text) < 3 else ABSTAIN

def few(x):
    return 0 if x.links < 2 else ABSTAIN

LFS = [prize, many, short, few]
"""
RECORDS: list[dict[str, Any]] = [
    {"id": str(n), "timestamp": to_iso(START + n * 60_000), "text": "a PRIZE" * (n % 2)}
    | ({"links": n % 5} if n % 7 else {})
    for n in range(300)
]


def counted(folder: Path, **settings: Any) -> tuple[Any, Lifting | None]:
    """Read all; return the panes, and the lifting."""
    folder.mkdir()
    (folder / "lfs_to_lift.py").write_text(LFS)
    lifted: list[Lifting | None] = []

    def lift(probe_set: ProbeSet) -> Lifting | None:
        lifted.append(lifting_of(probe_set, Settings(**settings), "test"))
        return lifted[-1]

    made = reading(folder, RECORDS, probes="lfs_to_lift:LFS", lift=lift)
    made.to_end()
    [lifting] = lifted
    return oracle.panes(made.database, made.stream), lifting


def ended_figures() -> str:
    lines = generate_latest(meters.REGISTRY).decode().splitlines()
    return "\n".join(line for line in lines if line.startswith("tidegauge_lf_lifting_ended_total"))


@pytest.mark.parametrize("checked", [0.0, 0.5, 1.0])
def test_lifted_lfs_are_counted_as_they_are(tmp_path: Path, checked: float) -> None:
    plain, none = counted(tmp_path / "plain", lifting={"enabled": False})
    assert none is None
    lifted, lifting = counted(tmp_path / "lifted", lifting={"checked": checked})
    assert lifting is not None
    assert sorted(lifting.lifted) == [0, 1, 2, 3]
    assert lifted == plain
    assert any(pane.faults for pane in plain.values()), "missing fields are errors either way"


def test_an_end_is_logged_and_counted(tmp_path: Path) -> None:
    lfs = [
        LabelingFunction(name, lambda x: 1 if "a" in x.text else -1) for name in ("ends", *"bcd")
    ]
    probe_set = ProbeSet.of(lfs)
    lifting = lifting_of(probe_set, Settings(), "a stream")
    assert lifting is not None
    object.__setattr__(probe_set.probes[0], "f", lambda _: -1)  # as if it were misread
    with structlog.testing.capture_logs() as logs:
        engine.run(probe_set, [{"text": "a"}], lifting=lifting)
    (line,) = logs
    assert line["event"] == "lifting_ended"
    assert line["probe"] == "ends"
    assert 'probe="ends",stream="a stream"} 1.0' in ended_figures()


@pytest.mark.parametrize("checked", [-0.1, 1.5, "often"])
def test_the_share_is_a_share(checked: Any) -> None:
    with pytest.raises(SettingsError, match="checked"):
        load_settings(lifting={"checked": checked})
