"""The LFs of `probes.yaml` once more, as plain Python: a second opinion on what they count."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Condition = Callable[[Mapping[str, Any]], bool]

ABSTAIN, HAM, SPAM = -1, 0, 1


def words(record: Mapping[str, Any]) -> set[str]:
    return set(re.findall(r"\w+", record["text"].lower()))


def claims_prize(record: Mapping[str, Any]) -> bool:
    text = record["text"].lower()
    won = re.search(r"\b(won|winner)\b", text)
    if won and re.search(r"\b(claim|cash)\b", text[won.end() :]):
        return True
    return "ticket" in text and "waiting" in text


def thanks_without_link(record: Mapping[str, Any]) -> bool:
    text = record["text"].lower()
    return "thanks" in text and "http://" not in text and "https://" not in text


PLAIN_LFS: dict[str, tuple[int, Condition]] = {
    "mentions_vicodin": (SPAM, lambda r: bool(words(r) & {"vicodin", "oxycontin"})),
    "cheap_pills": (SPAM, lambda r: bool(words(r) & {"viagra", "cialis", "pills"})),
    "regex_check_out": (SPAM, lambda r: bool(re.search(r"(?i)check\s.*\sout", r["text"]))),
    "claims_prize": (SPAM, claims_prize),
    "promises_income": (
        SPAM,
        lambda r: bool(re.search(r"(?i)\b(earn|earned|make|made) (up to )?\$[0-9]", r["text"])),
    ),
    "many_links": (SPAM, lambda r: r["links"] >= 3),
    "no_author": (SPAM, lambda r: not r.get("author")),
    "shouting": (SPAM, lambda r: len(re.findall(r"\b[A-Z]{4,}\b", r["text"])) >= 2),
    "short_message": (HAM, lambda r: len(r["text"].split()) < 14),
    "thanks_without_link": (HAM, thanks_without_link),
    "meeting_words": (HAM, lambda r: bool(words(r) & {"meeting", "agenda", "minutes"})),
    "order_number": (
        HAM,
        lambda r: bool(re.search(r"(?i)\border (number )?[0-9]{4,}", r["text"])),
    ),
}


def votes(record: Mapping[str, Any]) -> dict[str, int]:
    """Vote with every LF; abstains are left out."""
    return {name: label for name, (label, holds) in PLAIN_LFS.items() if holds(record)}


def coverage(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return each LF's share of votes, and the blind spot's share as `blind_spot`."""
    counts = dict.fromkeys([*PLAIN_LFS, "blind_spot"], 0)
    total = 0
    for record in records:
        total += 1
        for name in votes(record) or ["blind_spot"]:
            counts[name] += 1
    return {name: count / total for name, count in counts.items()}
