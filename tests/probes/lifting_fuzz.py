"""Random Python LFs on random records: lifted, they vote and fail as Python does.

`python -m tests.probes.lifting_fuzz --programs 20000 --seed 1` prints what was compared, as JSON.
"""

from __future__ import annotations

import argparse
import json
import linecache
import random
import re
import sys
import warnings
from collections import Counter
from typing import Any, Final

from tests.probes import pattern_fuzz
from tidegauge_probes import LabelingFunction, ProbeSet, engine
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings

RECORDS: Final = 40
PROGRAMS: Final = 20
"""LFs of a ProbeSet, which share columns and a pass."""

WORDS: Final = ("abc", "k", "K", "", " ", "naïve", "ß", "kiss", "Kiosk", "\u017f", "10:30", "a b")
ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2.5,
    float("nan"),
    2**60,
    "",
    "k",
    b"k",
    [],
    ["k"],
)
NAMES: Final = {
    "re": re, "WORDS": ("abc", "k", "kiss"), "LIST": ["naïve", "a b"], "LIMIT": 2, "SPAM": 1,
    "PATTERN": re.compile(r"\bk", re.IGNORECASE), "search": re.compile("a.*b").search,
}  # fmt: skip


def _text(rng: random.Random) -> str:
    base = rng.choice(("x.text", "x.text", "x.text", "x.author", 'x["text"]', "text"))
    return base + rng.choice(
        ("", "", ".lower()", ".lower()", ".strip()", ".upper()", ".lower().strip()")
    )


def _simple(rng: random.Random) -> str:
    text, word, n = _text(rng), rng.choice(WORDS), rng.randint(-1, 6)
    compare = rng.choice(("<", "<=", ">", ">=", "==", "!="))
    function = rng.choice(("search", "match", "fullmatch"))
    pattern = pattern_fuzz.pattern(rng, 1)
    return rng.choice(
        (
            f"{word!r} in {text}",
            f"{word!r} not in {text}",
            f"{word!r} in {text}.split()",
            f"re.{function}({pattern!r}, {text})",
            f"re.{function}({pattern!r}, {text}, re.I) is not None",
            f"PATTERN.search({text})",
            f"search({text}) is None",
            f"re.compile({pattern!r}).{function}({text})",
            f"len({text}) {compare} {n}",
            f"len({text}.split()) {compare} {n}",
            f"{text}.count({word!r}) > 1",
            f"x.links {compare} {n}",
            f"{n} {compare} x.links",
            f"{n} < x.links <= {n + 2}.5",
            "x.links > LIMIT",
            "x.author is None",
            "x.author is not None",
            "x.author != None",
            f"x.author == {word!r}",
            f"x.author in {WORDS!r}",
            f"x.author not in [1, None, {word!r}]",
            f"{text} == {word!r}",
            "x.author",
            "x.links",
            text,
            f"{text}.startswith({word!r})",
            f"{text}.endswith(('k', 'b'))",
            f"{text}.isdigit()",
            f"any(w in {text} for w in WORDS)",
            f"all(w in {text} for w in LIST)",
            f"sum(w in {text} for w in WORDS) {compare} 2",
            f"any([re.search(w, {text}) for w in LIST])",
            f"bool({text})",
            f"str({text}) < {word!r}",
            "True",
            "x.links > x.author",
            "x.get('links')",
        )
    )


def _condition(rng: random.Random, depth: int) -> str:
    if not depth or rng.random() < 0.5:
        return _simple(rng)
    one, other = _condition(rng, depth - 1), _condition(rng, depth - 1)
    return rng.choice((f"({one} and {other})", f"({one} or {other})", f"not ({one})"))


def _result(rng: random.Random) -> str:
    vote = rng.choice(("1", "0", "-1", "SPAM", "True", "7", "None"))
    if rng.random() < 0.3:
        return f"{vote} if {_condition(rng, 1)} else {rng.choice(('0', '-1'))}"
    return _condition(rng, 1) if rng.random() < 0.1 else vote


def _body(rng: random.Random, depth: int) -> list[str]:
    lines: list[str] = []
    if rng.random() < 0.5:
        lines.append(f"text = {rng.choice(('x.text', 'x.text.lower()', 'x.author'))}")
    for _ in range(rng.randint(0, 2)):
        if rng.random() < 0.15:
            test = f"w in {_text(rng)}"
            lines += ["for w in WORDS:", f"    if {test}:", f"        return {_result(rng)}"]
            continue
        lines.append(f"if {_condition(rng, depth)}:")
        inner = (
            _body(rng, depth - 1) if depth and rng.random() < 0.3 else [f"return {_result(rng)}"]
        )
        lines += [f"    {line}" for line in inner]
    if rng.random() < 0.95:
        lines.append(f"return {_result(rng)}")
    return lines or ["pass"]


def program(rng: random.Random, number: int) -> LabelingFunction:
    """Return an LF made from a random source."""
    return made(_body(rng, 2), f"lf_{number}")


def condition(rng: random.Random) -> str:
    """Return a random condition."""
    return _condition(rng, 2)


def made(body: list[str], lf: str) -> LabelingFunction:
    """Return an LF of some lines, whose source can be read."""
    source = "\n    ".join(["def lf(x):", *body]) + "\n"
    name = f"<random {lf}>"
    names: dict[str, Any] = dict(NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, name, "exec"), names)  # noqa: S102
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    return LabelingFunction(lf, names["lf"])


def record(rng: random.Random) -> dict[str, Any]:
    """Return a record; some lack fields, some hold what nobody expects."""
    fields: dict[str, Any] = {
        "text": pattern_fuzz.text(rng, 30),
        "links": rng.choice((rng.randint(-2, 8), rng.uniform(0, 4))),
        "author": rng.choice((None, "", "bob", *WORDS)),
    }
    for name in tuple(fields):
        draw = rng.random()
        if draw < 0.03:
            del fields[name]
        elif draw < 0.1:
            fields[name] = rng.choice(ODD_VALUES)
    return fields


def compare(rng: random.Random, seen: Counter[str]) -> list[str]:
    """Compare one ProbeSet on one batch; return what differed."""
    records = [record(rng) for _ in range(RECORDS)]
    lfs = [program(rng, seen["programs"] + n) for n in range(PROGRAMS)]
    probe_set = ProbeSet.of(lfs, cardinality=2)
    lifting = Lifting(probe_set, readings(probe_set), fewest=1, checked=0)
    lifting.checks("the first always is")
    lifted = set(lifting.lifted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, python = (
            engine.run(probe_set, records, lifting=lifting),
            engine.run(probe_set, records),
        )
    faults = [{(f.probe, f.row): f for f in matrix.faults} for matrix in (ours, python)]
    seen.update(programs=PROGRAMS, lifted=len(lifted), votes=RECORDS * len(lifted))
    seen.update(errors=sum(f.probe in lifted for f in python.faults))
    differences = []
    for column, lf in enumerate(lfs):
        same = ours.outcomes[:, column].tolist() == python.outcomes[:, column].tolist()
        told = [{p: f for p, f in some.items() if p[0] == column} for some in faults]
        if not same or told[0] != told[1] or (column in lifted) != (column in lifting.lifted):
            differences.append("".join(linecache.getlines(lf._f.__code__.co_filename)))
    return differences


def run(programs: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Compare at least so many LFs; return the counts and the sources that differed."""
    rng, seen, differences = random.Random(seed), Counter[str](), list[str]()
    while seen["programs"] < programs:
        differences += compare(rng, seen)
    return seen, differences


def main() -> int:
    """Run it; the exit code is 1 if anything differed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    seen, differences = run(told.programs, told.seed)
    figures = dict(seen) | {"differences": len(differences), "examples": differences[:10]}
    sys.stdout.write(json.dumps({"seed": told.seed, **figures}) + "\n")
    return int(bool(differences))


if __name__ == "__main__":
    raise SystemExit(main())
