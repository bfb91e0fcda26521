"""Fixtures of the contract with Snorkel: suites of LFs, and Snorkel's votes on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.parity.tutorials import books, crowd, drugs, spam, visual
from tests.parity.tutorials.kit import Kit, snorkels
from tests.snorkel_stub import Snorkel

TUTORIALS = {"spam": spam, "drugs": drugs, "visual": visual, "crowd": crowd, "books": books}
RECORDS = 1_500


@dataclass(frozen=True)
class Suite:
    """A tutorial's LFs, written with Snorkel, and what Snorkel says of each record."""

    name: str
    classes: tuple[str, ...]
    records: list[dict[str, Any]]
    lfs: list[Any]
    write: Callable[[Kit], list[Any]]
    votes: npt.NDArray[np.int64]


def points(records: list[dict[str, Any]]) -> list[SimpleNamespace]:
    return [SimpleNamespace(**record) for record in records]


@pytest.fixture(scope="session")
def suites(snorkel: Snorkel) -> Callable[[str], Suite]:
    @cache
    def suite(name: str) -> Suite:
        module: Any = TUTORIALS[name]
        records = module.records(seed=5, count=RECORDS)
        lfs = module.lfs(snorkels(snorkel))
        votes = snorkel.LFApplier(lfs).apply(points(records), progress_bar=False)
        return Suite(name, module.CLASSES, records, lfs, module.lfs, votes)

    return suite


@pytest.fixture(params=TUTORIALS)
def suite(request: pytest.FixtureRequest, suites: Callable[[str], Suite]) -> Suite:
    return suites(request.param)
