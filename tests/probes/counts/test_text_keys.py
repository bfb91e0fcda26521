"""Keys of texts: equal for copies, different for the rest, the same in every process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes.counts import text_keys


def key(text: str, stream: str = "s") -> int:
    return int(text_keys.of_texts([text], stream)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 17 shipped", "order 23  shipped\n"),
        ("see https://t.co/abc now", "See https://t.co/xyz?u=1 now"),
        ("Caf\u00e9 \u2460", "cafe\u0301 1"),  # NFKC
        ("zero\u00a0width", "ZERO width"),
        ("\u00c4RGER", "\u00e4rger"),
    ],
)
def test_copies_have_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("buy now", "buy later"),
        ("see https://t.co/abc", "see https://b.co/abc"),
        ("10 pills", "100 pills"),
        ("a\0b", "ab"),
        ("", "a"),
        ("dog bites man", "man bites dog"),
    ],
)
def test_other_texts_have_other_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


@given(st.lists(st.text()))
def test_a_key_does_not_depend_on_the_batch(texts: list[str]) -> None:
    together = text_keys.of_texts(texts, "s").tolist()
    assert together == [key(text) for text in texts]


def test_another_stream_has_other_keys() -> None:
    assert key("buy now", "one") != key("buy now", "two")


def test_contents_are_taken_as_they_are() -> None:
    keys = text_keys.of_contents([b'{"price": 17}', b'{"price": 23}', b'{"price": 17}'], "s")
    assert keys[0] == keys[2] != keys[1]


def test_keys_are_spread_evenly() -> None:
    keys = text_keys.of_texts(
        (f"word{chr(97 + n % 26)}" * (n // 26 + 1) for n in range(2_600)), "s"
    )
    assert len(np.unique(keys)) == 2_600
    assert np.bincount((keys >> np.uint64(61)).astype(np.int64)) == pytest.approx(325, abs=75)


def test_another_process_finds_the_same_keys() -> None:
    # A stored sample is merged with what a restarted worker counts.
    code = "from tidegauge_probes.counts import text_keys as t; print(t.of_texts(['a b'], 's')[0])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) == key("a b")
