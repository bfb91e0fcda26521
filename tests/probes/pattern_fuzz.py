"""Random patterns on random texts: whole columns find what `re` finds, text by text.

`python -m tests.probes.pattern_fuzz --pairs 1000000 --seed 1` prints what was compared, as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Final

from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.columns.needles import Needles
from tidegauge_probes.columns.patterns import Mode, Pattern, translate
from tidegauge_probes.columns.texts import ODD

TEXTS = 60
PATTERNS = 12
"""Patterns that share a batch, and so a pass over their literals."""

LETTERS = "aabbcKksSiI019_ \t\n\r\x0b\x1c\x1f\x85\xa0.-:$()\0\x7f"
BEYOND: Final = "éÉßΣσςдД٣५²½\u2003\u200b→🙂一\ud800\u0345ﬁ" + ODD
WORDS = ("abc", "kiss", "a b", "Kiosk", "http://", "10:30", "naïve", "ßs", "check", "out", "\n")

ATOMS: Final[tuple[str, ...]] = (
    *"abcKksSiI019_ ",
    *("é", "Σ", "ß", "٣", "\u017f", "\u212a", "🙂", r"\.", r"\$", r"\n", r"\x00", r"\-", ":"),
    *(".", r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"),
    *("[a-c]", "[^a-c]", "[A-Z]", "[0-9a]", r"[\s.]", r"[^\s]", r"[\w-]", r"[^\W\d]", "[à-ü]"),
    *("(?:a?)*", "(?:|k)+", "(?:a*b*)*", "(?:a??){2,}"),
    *("[^é]", "[k\u017f]", "[^\n]", r"[\D]", "[:-a]", r"[^\x00-\x7f]", "[s-\u0180]", "abc", "kiss"),
)
ANCHORS = (r"\b", r"\B", "^", "$", r"\A", r"\Z")
REPEATS = ("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??", "{1,2}?")
ENDING = ("?", "{2}", "{1,3}", "{0,2}", "??", "{1,2}?")
WRAPS = ("({})", "(?:{})", "(?i:{})", "(?-i:{})", "(?s:{})", "(?a:{})", "(?m:{})", "(?P<n{n}>{})")
LESS_OFTEN = ("(?={})", "(?!{})", "(?<!a){}", "({})\\1", "(?>{})", "(?:{})*+", "(?({n}){}|b)")
FLAGS = (0, 0, re.IGNORECASE, re.IGNORECASE, re.DOTALL, re.MULTILINE, re.ASCII, re.VERBOSE)


def pattern(rng: random.Random, depth: int = 3) -> str:
    """Return a pattern; some do not compile."""
    if rng.random() < 0.05:
        word = re.escape(rng.choice(WORDS))
        return rng.choice(
            (rf"\b{word}\b", rf"(?<!\w){word}(?!\w)", rf"\b{word}", rf"(?i)\b{word}\b")
        )
    return "".join(_part(rng, depth) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))


def _part(rng: random.Random, depth: int) -> str:
    draw = rng.random()
    if depth and draw < 0.12:
        return f"(?:{'|'.join(pattern(rng, depth - 1) for _ in range(rng.randint(2, 3)))})"
    if depth and draw < 0.24:
        wrap = rng.choice(LESS_OFTEN if rng.random() < 0.1 else WRAPS)
        return wrap.replace("{n}", str(rng.randint(1, 99))).replace("{}", pattern(rng, depth - 1))
    if draw < 0.34:
        return rng.choice(ANCHORS)
    if draw < 0.56:
        if depth > 1 and rng.random() < 0.3:
            # Endless loops in endless loops would keep `re` busy for hours.
            return f"(?:{pattern(rng, depth - 1)}){rng.choice(ENDING)}"
        return f"(?:{_atom(rng)}){rng.choice(REPEATS)}"
    return _atom(rng)


def _atom(rng: random.Random) -> str:
    return rng.choice(ATOMS)


def text(rng: random.Random, longest: int) -> str:
    """Return a text, empty at times, with words, line ends and characters beyond ASCII."""
    letters = LETTERS if rng.random() < 0.5 else LETTERS + BEYOND
    size = rng.choice((0, 1, 2, 4, 8, longest))
    return "".join(rng.choice(WORDS if rng.random() < 0.1 else letters) for _ in range(size))


def _compiled(rng: random.Random, *, simple: bool) -> tuple[Pattern, Callable[[str], object]]:
    while True:
        wanted = Pattern(
            pattern(rng, 0 if simple else 3),
            rng.choice(FLAGS) | rng.choice(FLAGS),
            rng.choice((Mode.SEARCH, Mode.SEARCH, Mode.MATCH, Mode.FULLMATCH)),
        )
        try:
            compiled = re.compile(wanted.pattern, wanted.flags)
        except (re.error, ValueError, OverflowError):
            continue
        return wanted, getattr(compiled, wanted.mode.value)


def compare(rng: random.Random, seen: Counter[str]) -> list[str]:
    """Compare one batch; return what differed."""
    # Nested repetitions take `re` for ever on long texts, which RE2 does not mind.
    long = rng.random() < 0.03
    texts = [text(rng, 3_000 if long else 12) for _ in range(TEXTS)]
    patterns = [_compiled(rng, simple=long) for _ in range(PATTERNS)]
    needles = {needle for wanted, _ in patterns for needle in wanted.needles()}
    batch = Batch([{"text": each} for each in texts], {"text": Needles(needles)})
    column, differences = batch.column("text").texts, []
    for wanted, test in patterns:
        hits = [batch.hits("text", needle) for needle in wanted.needles()]
        found = wanted.find(column, hits, column.odd).tolist()
        expected = [test(each) is not None for each in texts]
        translated = translate(wanted.pattern, wanted.flags, wanted.mode)
        seen.update(patterns=1, translated=translated is not None, pairs=TEXTS, long=TEXTS * long)
        seen.update(matches=sum(expected), beyond_ascii=int((~column.ascii).sum()))
        seen.update(empty=texts.count(""), lines=sum("\n" in each for each in texts))
        if found != expected:
            row = next(n for n in range(TEXTS) if found[n] != expected[n])
            differences.append(f"{wanted} {texts[row]!r}: {found[row]}, not {expected[row]}")
    return differences


def run(pairs: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Compare at least so many (pattern, text) pairs; return the counts and the differences."""
    rng, seen, differences = random.Random(seed), Counter[str](), list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))  # `[[` and its like
        while seen["pairs"] < pairs:
            differences += compare(rng, seen)
    return seen, differences


def main() -> int:
    """Run it; the exit code is 1 if anything differed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    started = time.monotonic()
    seen, differences = run(told.pairs, told.seed)
    figures = dict(seen) | {"differences": len(differences), "examples": differences[:20]}
    seconds = round(time.monotonic() - started)
    sys.stdout.write(json.dumps({"seed": told.seed, "seconds": seconds, **figures}) + "\n")
    return int(bool(differences))


if __name__ == "__main__":
    raise SystemExit(main())
