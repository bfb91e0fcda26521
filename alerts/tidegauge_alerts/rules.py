"""Rules that users add to the scan: ``coverage of check_out below 1 % for 3 windows``.

::

    rule    = series ["of" LF ["and" LF]] ["to" class] ["in" segment]
              ("below" | "above") number "%" ["for" count ("window" | "windows")]
    series  = a value of SeriesKind, such as coverage, blind_spot, agreement

A name with spaces stands in quotes. A rule looks at the share of single windows as it was counted;
it knows neither baseline nor volume. That is what the scan is for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidegauge_alerts.errors import RuleError
from tidegauge_alerts.model import Rule
from tidegauge_probes.findings import ALL, Finding, SeriesKey, SeriesKind, Verdict

NAME: Final = r"""(?:"[^"]+"|'[^']+'|[^\s"']+)"""

_RULE: Final = re.compile(
    rf"""(?P<series>\w+)
    (?:\s+of\s+(?P<probe>{NAME})(?:\s+and\s+(?P<other>{NAME}))?)?
    (?:\s+to\s+(?P<label>{NAME}))?
    (?:\s+in\s+(?P<segment>{NAME}))?
    \s+(?P<side>below|above)
    \s+(?P<percent>\d+(?:\.\d+)?)\s*%
    (?:\s+for\s+(?P<windows>\d+)\s+windows?)?""",
    re.VERBOSE,
)

EXAMPLE: Final = "coverage of check_out below 1 % for 3 windows"

_PAIRS: Final = frozenset({SeriesKind.CO_VOTE, SeriesKind.AGREEMENT})
_OF_ALL: Final = frozenset(
    {SeriesKind.BLIND_SPOT, SeriesKind.COPIES, SeriesKind.CLASS_SHARE, SeriesKind.SEGMENT_SHARE}
)
_OF_A_CLASS: Final = frozenset({SeriesKind.POLARITY, SeriesKind.CLASS_SHARE, SeriesKind.PRECISION})
_OF_ONE_CLASS: Final = frozenset({SeriesKind.POLARITY, SeriesKind.CLASS_SHARE})
"""Shares of the classes, which add up to 1."""
_SERIES: Final = tuple(kind for kind in SeriesKind if kind is not SeriesKind.VOLUME)
_ONLY_WHOLE: Final = _PAIRS | {SeriesKind.COPIES, SeriesKind.PRECISION}


@dataclass(frozen=True, slots=True)
class UserRule:
    """A rule as it was written, and what it means. ``limit`` is a share, 0…1."""

    text: str
    key: SeriesKey
    above: bool
    limit: float
    windows: int

    @property
    def rule(self) -> Rule:
        """How its alerts behave: as many windows to resolve as to fire, and no further evidence.

        A limit is kept or broken: it has neither a memory nor a new level to settle at.
        """
        return Rule(
            name=self.text,
            for_windows=self.windows,
            quiet_windows=self.windows,
            resolve_nats=0.0,
            memory_windows=0,
            settle_windows=0,
        )

    def evaluate(
        self, findings: Mapping[SeriesKey, Finding], classes: Sequence[str] = ()
    ) -> list[Finding]:
        """Return the finding of its series, by the rule's own verdict; none if it is not followed.

        Without data it says nothing, as the scan does. Of two *classes* one is followed: a rule
        about the other looks at what is left of that one's share. A pair has its LFs in the order
        of the baseline, whatever the rule's.
        """
        key = next((k for k in self._names(classes) if k in findings), self.key)
        found = findings.get(key)
        if found is None:
            return []
        if not found.n:
            return [replace(found, verdict=Verdict.NO_DATA)]
        share = found.x / found.n
        its = share if key.label == self.key.label else 1 - share
        broken = its > self.limit if self.above else its < self.limit
        verdict = Verdict.SHIFTED if broken else Verdict.OK
        return [replace(found, verdict=verdict, observed=share, scale=1, share=None)]

    def is_followed(self, keys: Collection[SeriesKey], classes: Sequence[str] = ()) -> bool:
        """Tell whether its series is one of *keys*: otherwise it never fires."""
        return any(name in keys for name in self._names(classes))

    def _names(self, classes: Sequence[str]) -> tuple[SeriesKey, ...]:
        """Return the names that its series may have; of a pair either LF may come first."""
        turned = replace(self.key, probe=self.key.other, other=self.key.probe)
        return (self.key, turned if self.key.other else self._other_of_two(classes))

    def _other_of_two(self, classes: Sequence[str]) -> SeriesKey:
        others = [name for name in classes if name != self.key.label]
        two = len(classes) == 2 and len(others) == 1  # noqa: PLR2004
        adds_up = self.key.series in _OF_ONE_CLASS
        return replace(self.key, label=others[0]) if two and adds_up else self.key


def parse_rule(text: str) -> UserRule:
    """Read a rule.

    Raises RuleError, which says what is wrong and shows one that is right.

    >>> rule = parse_rule("polarity of 'a b' to SPAM in channel=mail below 2.5 % for 2 windows")
    >>> str(rule.key), rule.above, rule.limit, rule.windows
    ('polarity(a b, SPAM)[channel=mail]', False, 0.025, 2)
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise RuleError(f"'{text}' is not a rule; write it like this: {EXAMPLE}")
    series = found["series"].lower()
    if series == SeriesKind.VOLUME:
        raise RuleError(
            f"rule '{text}': volume is a number of records, not a share, so it cannot have a limit "
            "in %; its shifts are found without a rule"
        )
    if series not in _SERIES:
        raise RuleError(
            f"rule '{text}': there is no series '{series}'; choose from {', '.join(_SERIES)}"
        )
    percent, windows = float(found["percent"]), int(found["windows"] or 1)
    if not 0 <= percent <= 100:  # noqa: PLR2004
        raise RuleError(f"rule '{text}': a share must be 0 to 100 %, not {percent:g} %")
    if windows < 1:
        raise RuleError(f"rule '{text}': it needs at least 1 window")
    names = {n: _bare(found[n]) for n in ("probe", "other", "label")}
    key = SeriesKey(SeriesKind(series), _bare(found["segment"]) or ALL, **names)
    _check_parts(text, key)
    return UserRule(text.strip(), key, found["side"] == "above", percent / 100, windows)


def check_names(rule: UserRule, probes: Iterable[str], classes: Iterable[str]) -> None:
    """RuleError if it names an LF or a class that there is not."""
    parts = {"LF": (rule.key.probe, rule.key.other), "class": (rule.key.label,)}
    for (what, named), known in zip(parts.items(), (tuple(probes), tuple(classes)), strict=True):
        for name in named:
            if name and name not in known:
                listed = ", ".join(known)
                raise RuleError(
                    f"rule '{rule.text}': there is no {what} '{name}'; choose from {listed}"
                )


def _check_parts(text: str, key: SeriesKey) -> None:
    """Say which part of its name a series lacks, or has too much."""
    needed = {
        "of LF": (key.probe, key.series not in _OF_ALL),
        "and LF": (key.other, key.series in _PAIRS),
        "to class": (key.label, key.series in _OF_A_CLASS),
    }
    for part, (given, wanted) in needed.items():
        if wanted and not given:
            raise RuleError(f"rule '{text}': {key.series} needs '{part}'")
        if given and not wanted:
            raise RuleError(f"rule '{text}': {key.series} does not take '{part}'")
    if key.series is SeriesKind.SEGMENT_SHARE and key.segment == ALL:
        raise RuleError(f"rule '{text}': {key.series} needs 'in segment'")
    if key.series in _ONLY_WHOLE and key.segment != ALL:
        whole = "followed over all records only, not in segments"
        raise RuleError(f"rule '{text}': {key.series} is {whole}")


def _bare(name: str | None) -> str:
    return (name or "").strip("\"'")
