"""A pickle from anywhere is read or refused: nothing runs, crashes, hangs, or takes the memory."""

from __future__ import annotations

import pickle
import time
import tracemalloc

import numpy as np
import pytest

from tests.probes.pickle_fuzz import SAVED, array, deep, nested, run
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.snorkel import pickle_machine, snorkel_pickle

PLAIN = (3, "<", None, None, None, -1, -1, 0)
FORGED = (3, "|", None, None, None, 8, 1, 63)
"""Flags that make numpy take eight plain bytes for a pointer to an object."""


def test_arrays_of_numpy_are_read() -> None:
    wanted = np.arange(6, dtype=">i4").reshape(2, 3)
    for protocol in (3, 4, 5):
        for given in (wanted, np.asfortranarray(wanted), wanted.astype("<f8"), wanted > 2):
            found = snorkel_pickle.read(pickle.dumps({"p": given}, protocol))["p"]
            assert found.tolist() == given.tolist()
            assert found.dtype == given.dtype
    assert snorkel_pickle.read(pickle.dumps({"n": np.float64(1.5)}))["n"] == 1.5


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (array(FORGED, (1,), b"\x41" * 8, "O8"), "not of plain numbers"),
        (array(FORGED, (1,), b"\x41" * 8, "V8"), "not of plain numbers"),
        (array(PLAIN, (1,), b"\x41" * 8, "S8"), "not of plain numbers"),
        (array(PLAIN, (1,), b"\x41" * 8, "M8"), "not of plain numbers"),
        (array((3, "<", None, ("a",), {"b": 1}, 8, 1, 63), (1,), b"1" * 8), "of structures"),
        (array((3, "<", ("f8", 9), None, None, 8, 1, 0), (1,), b"1" * 8), "of structures"),
        (array((3, "!", None, None, None, -1, -1, 0), (1,), b"1" * 8), "byte order"),
        (array((), (1,), b"1" * 8), "of structures"),
        (array(PLAIN, (2**62, 4), b"1" * 8), "does not match its numbers"),
        (array(PLAIN, (-1,), b"1" * 8), "valid shape"),
        (array(PLAIN, (2,), b"1" * 8), "does not match its numbers"),
        (array(PLAIN, (1,) * 33, b"1" * 8), "valid shape"),
        (b"\x80\x04cnumpy\ndtype\n}b.", "it changes a Name"),
        (b"\x80\x04X\x01\0\0\0a}b.", "it changes a str"),
        (b"\x80\x04K\x01)R.", "it calls a int"),
        (b"\x80\x04\x82\x01.", "the opcode EXT1"),
        (b"\x80\x05\x97.", "the opcode NEXT_BUFFER"),
        (b"\x80\x04\x8b\x00\x01\0\0" + b"\x01" * 256 + b".", "more than 512 bits"),
    ],
)
def test_what_is_no_array_of_plain_numbers_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(BaselineError, match=says):
        snorkel_pickle.read(content)


def test_forged_flags_follow_no_pointer() -> None:
    """With numpy's own dtype this was a segmentation fault at 0x4141414141414141."""
    content = array(FORGED, (1,), b"\x41" * 8)
    found = snorkel_pickle.read(content)["p"]
    assert found.dtype == np.dtype("f8")
    assert found.tolist() == np.frombuffer(b"\x41" * 8).tolist()


LOAD = b"ctorch.storage\n_load_from_bytes\n"

SMALL_BUT_GREEDY = {
    "a tuple of 2^200": nested(200),
    "tuples 300,000 deep": deep(300_000),
    "a memo of 2^31": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "bytes of 2^40": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
    "a frame of 2^60": b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"N.",
    "a text of 2^31": b"\x80\x04X\xff\xff\xff\x7f.",
    "copies of a list": b"\x80\x04]\x94" + b"ccollections\nOrderedDict\nh\0\x85R" * 99 + b".",
    "opcodes without end": b"\x80\x04" + b"N" * 1_200_000 + b".",
    "a storage in a storage": LOAD + b"C\xff" + (LOAD + b"C\x01a\x85R.").ljust(255) + b"\x85R.",
    "a zip file": b"PK\x03\x04" + bytes(1_000),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL_BUT_GREEDY)
def test_a_small_file_takes_neither_time_nor_memory(name: str) -> None:
    content = SMALL_BUT_GREEDY[name]
    tracemalloc.start()
    began = time.process_time()
    try:
        state = snorkel_pickle.read(content)
        assert name.startswith(("a tuple", "tuples"))
        assert state == {}, "what cannot be a key is forgotten"
    except BaselineError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200_000_000
    assert time.process_time() - began < 30  # tracing makes it ten times as slow


def test_a_tensor_has_no_more_numbers_than_its_storage() -> None:
    """A stride of 0 makes any number of numbers of one; each would be copied."""
    with pytest.raises(BaselineError, match="larger than its numbers"):
        snorkel_pickle._tensor(np.zeros(1, dtype="f4"), 0, (10**6,), (0,))


def test_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snorkel_pickle, "MOST_BYTES", 7_000)
    with pytest.raises(BaselineError, match="it is larger than"):
        snorkel_pickle.read(SAVED)


def test_the_budget_is_shared_with_the_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pickle_machine.Budget, "__init__", lambda self: setattr(self, "opcodes", 400)
    )
    with pytest.raises(BaselineError, match="too long for a saved LabelModel"):
        snorkel_pickle.read(SAVED)


def test_what_nobody_meant_is_read_or_refused() -> None:
    """A longer run by hand: see ``pickle_fuzz``."""
    found = run(3_000, seed=1)
    assert found["read"] > 50
    assert found["refused"] > 1_000
    assert not found["slow"]
