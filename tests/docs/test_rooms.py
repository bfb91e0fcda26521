"""CONTRIBUTING's map, the import contracts and the folders are one list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]


def layers(package: str) -> list[str]:
    """Rooms of a package, from the top down, as its contract has them."""
    (contract,) = (c for c in CONTRACTS if c.get("containers") == [package])
    return [room for layer in contract["layers"] for room in re.findall(r"\w+", layer)]


def told(package: str) -> list[str]:
    """Return the rooms of a package as CONTRIBUTING lists them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.split(f"**`{package}`**", 1)[1]
    table = re.search(r"\| room \|.*?\n\n", section, re.DOTALL)
    assert table is not None
    rows = [row.split("|")[1] for row in table[0].splitlines()[2:] if row]
    return [room for row in rows for room in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize("folder", ["probes", "service"])
def test_the_map_is_the_contract(folder: str) -> None:
    package = f"tidegauge_{folder}"
    assert sorted(told(folder)) == sorted(layers(package))
    rooms = {
        path.stem
        for path in (ROOT / folder / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert set(layers(package)) == rooms - {"__init__"}


@pytest.mark.parametrize("folder", ["probes", "service"])
def test_the_map_descends_as_the_contract_does(folder: str) -> None:
    (contract,) = (c for c in CONTRACTS if c.get("containers") == [f"tidegauge_{folder}"])
    depth = {
        room: at
        for at, layer in enumerate(contract["layers"])
        for room in re.findall(r"\w+", layer)
    }
    depths = [depth[room] for room in told(folder)]
    assert depths == sorted(depths)


def test_the_answers_lead_somewhere() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("### Ten questions", 1)[1]
    places = re.findall(r"`((?:probes|alerts|service|dashboards)/…/[\w./]+)`", text)
    assert len(places) >= 10
    for place in places:
        folder, _, rest = place.partition("/…/")
        assert (ROOT / folder / f"tidegauge_{folder}" / rest).exists(), place
