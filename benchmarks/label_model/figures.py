"""The figures as a page of Markdown, from the benchmark's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PAGE: Final = "label-model-figures.md"
MODELS: Final = (
    "majority",
    "ties to the rarer class",
    "Dawid–Skene",
    "FlyingSquid's closed form",
    "tidegauge",
)
PEERS: Final = {"snorkel": "Snorkel's LabelModel", "crowd-kit": "crowd-kit's Dawid–Skene"}

Json = Mapping[str, Any]


def write(found: Json, folder: Path) -> None:
    """Write the page below *folder*."""
    (folder / PAGE).write_text(page(found), encoding="utf-8")


def page(found: Json) -> str:
    """Return the page."""
    parts = (_head(found), _labels(found), _shares(found), _gold(found), _changes(found))
    return "\n".join((*parts, _costs(found["costs"]))).rstrip() + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _head(found: Json) -> str:
    real = found["real"]
    known = f"{', '.join(real)}: other people's LFs" if real else "No real data set was available"
    return f"""# Label model: figures

Written by `python -m benchmarks.label_model --write docs --seed {found["seed"]}`.
[label-model.md](label-model.md) explains what the figures mean.

{known} (WRENCH), whose gold labels are only used for scoring. The model was designed
on these data sets, so their rows are optimistic. The other rows are simulated, with 12,000 records
each.
"""


def _labels(found: Json) -> str:
    peers = {name: PEERS[name] for name in found.get("peers", {})}
    errors = [f"{PEERS[n]}: {p['error']}" for n, p in _peers(found) if "error" in p]
    rows = []
    for name, each in found["sets"].items():
        cells = [_number(each["right"][model]) for model in MODELS]
        cells += [_number(p.get(name)) for _, p in _peers(found)]
        rows.append([name, each["kind"], *cells])
    absent = ", ".join(PEERS[name] for name in PEERS if name not in peers)
    missing = f"\nNot run: {absent}; the command adds it with `--peers FOLDER`.\n" if absent else ""
    notes = "".join(f"\n{error}\n" for error in errors)
    return f"""## Labels

Share of the covered records whose class is predicted correctly; a tie counts as a random guess.
*Dawid–Skene* is the model with abstain as a symbol, which tidegauge used to apply to all votes.

{table(["votes", "kind", *MODELS, *peers.values()], rows)}
{missing}{notes}"""


def _peers(found: Json) -> list[tuple[str, Json]]:
    return list(found.get("peers", {}).items())


def _shares(found: Json) -> str:
    rows = []
    for name, each in found["sets"].items():
        told = each["shares"]
        rows.append(
            [
                name,
                each["kind"],
                _number(told["Dawid–Skene"]),
                _number(told["tidegauge"], "withheld"),
                str(told["shown"]),
                _number(told.get("precision_error")),
                _number(told.get("inside")),
            ]
        )
    head = ["votes", "kind", "Dawid–Skene", "tidegauge", "shown", "error", "inside"]
    return f"""## Class shares and precision without labels

Largest error of a class share of all records; *withheld* if the votes cannot tell it. *shown*:
number of precisions that are shown; *error*, *inside*: their mean error, and the share of their
95 % intervals that contain the truth.

{table(head, rows)}
"""


def _gold(found: Json) -> str:
    rows = []
    for name, each in found["sets"].items():
        cells = [
            f"{g['error']:.3f} (± {g['half_width']:.2f}; {g['inside']:.2f})"
            for g in each["gold"].values()
        ]
        rows.append([name, *cells])
    head = ["votes", *(f"{n} labels" for n in next(iter(found["sets"].values()))["gold"])]
    return f"""## Class shares with gold labels

Largest error of a class share of all records, averaged over {found["draws"]} draws of labels; in
brackets, half the width of the 95 % interval, and how often it contained the truth. Labels of one
class only are refused, and drawn again.

{table(head, rows)}
"""


def _changes(found: Json) -> str:
    rows = []
    for name, each in found["sets"].items():
        c = each["changes"]
        cells = [f"{f['found']} of {f['tried']}" for f in c["found"].values()] or ["–", "–"]
        others = sum(f["others"] for f in c["found"].values())
        per = 1000 * c["changed"] / c["lf_windows"] if c["lf_windows"] else 0.0
        counted = [f"{c['lf_windows']:,}", str(c["changed"]), f"{per:.2f}", f"{c['largest_z']:.1f}"]
        rows.append([name, each["kind"], *counted, *cells, str(others)])
    head = ["votes", "kind", "LF-windows", "false", "per 1,000", "largest z"]
    head += ["found at 2,000", "at 10,000", "another LF called"]
    return f"""## Changed LFs

The model is fitted to one half of the rows. Windows of 500, 2,000 and 10,000 records are drawn from
the other half, with replacement: nothing has changed, except for the difference between the halves.
*found*: of the LFs that vote on at least 2 % of the records with a precision of at least .75, those
that are found when their precision falls to .6 and they vote as often as before.

{table(head, rows)}
"""


def _costs(found: Json) -> str:
    rows = [
        [
            name,
            *(f"{seconds} s" for who, seconds in each.items() if who != "ratio"),
            f"{each['ratio']}",
        ]
        for name, each in found.items()
    ]
    return f"""## Cost

CPU seconds to fit 100,000 records of 50 LFs.

{table(["votes", "Dawid–Skene alone", "tidegauge", "ratio"], rows)}
"""


def _number(value: float | None, missing: str = "–") -> str:
    return missing if value is None else f"{value:.3f}"
