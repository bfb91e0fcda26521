"""LFs that write to the record: segments, samples and the worker do not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service.streams_for_tests import START, reading, record
from tidegauge_probes.counts import panes
from tidegauge_service.store import schema

LFS = {
    "sorts and shouts": (
        'x.tags.sort(); x.meta["region"] = x.meta["region"].upper(); x.text = x.text.upper()'
    ),
    "makes it hold itself": 'x.meta["self"] = x.meta; x.me = x',
    "writes a lone surrogate": r'x.text = x.meta["region"] = "\ud800"; x.tags.append("\udfff")',
    "writes what is no JSON": 'x.meta["region"] = x.meta[("a", 1)] = object()',
    "empties it": "vars(x).clear()",
}

MODULE = """
from tidegauge_probes import labeling_function, preprocessor

@preprocessor()
def split(x):
    x.words = x.text.split()
    return x

@labeling_function()
def writes(x):
    {write}
    return 1

@labeling_function()
def reads(x):
    return int(x.tags == ["b", "a"] and x.meta == {{"region": "us"}} and x.text == "a free lunch")

@labeling_function(pre=[split])
def pops(x):
    return len(x.words) == 3 and bool(x.words.pop())

LFS = [writes, reads, pops, pops.__class__("pops_too", pops._f, pre=[split])]
"""


@pytest.mark.parametrize("write", LFS.values(), ids=LFS)
def test_segments_and_payloads_are_of_the_record_as_it_came(
    write: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"writing_lfs_{abs(hash(write))}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(write=write))
    monkeypatch.syspath_prepend(tmp_path)
    more: dict[str, Any] = {"tags": ["b", "a"], "meta": {"region": "us"}}
    records = [record(n, "a free lunch", ms=START + n, **more) for n in range(20)]
    read = reading(tmp_path, records, probes=f"{name}:LFS", segment_by=["meta.region"])
    try:
        read.to_end()
        with read.database.read() as connection:
            encoded = list(connection.execute(sa.select(schema.pane.c.counts)).scalars())
            payloads = list(connection.execute(sa.select(schema.sample.c.payload)).scalars())
    finally:
        read.database.close()
    [pane] = map(panes.decode, encoded)
    assert set(pane.segments) == {"_all", "meta.region=us"}
    assert pane.all.votes.tolist() == [20] * 4
    assert pane.all.outcomes[:, 1].tolist() == [20] * 4, "all of them vote 1"
    assert sorted(json.loads(p)["id"] for p in payloads) == sorted(r["id"] for r in records)
    assert all(json.loads(p) in records for p in payloads)
