"""Value types that the detector hands on: series, their figures, findings.

They are the one vocabulary that probes, alerts and service share; nothing here computes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tidegauge_probes.compat import StrEnum

ALL = "_all"
"""Name of the segment that holds every record."""

OTHER = "_other"
"""Value that stands for all values of a field beyond its cap: segment ``field=_other``."""

MISSING = "_missing"
"""Value of the records without one: segment ``field=_missing``."""

VOLUME_OF = 10**10
"""The n of every volume: more records than any window has, so that counts are rare in it."""


class SeriesKind(StrEnum):
    """What a series counts; ``x`` of ``n`` in each window."""

    BLIND_SPOT = "blind_spot"  # records on which every LF abstains, of records
    COVERAGE = "coverage"  # votes of one LF, of records on which it did not fail
    POLARITY = "polarity"  # votes for one class, of the LF's votes
    OVERLAP = "overlap"  # votes where another LF votes too, of the LF's votes
    CONFLICT = "conflict"  # votes that another LF contradicts, of the LF's votes
    ERROR = "error"  # failures of one LF, of records
    CO_VOTE = "co_vote"  # votes where the other LF votes too, of the votes of the rarer one
    AGREEMENT = "agreement"  # same vote, of the records on which both vote
    CLASS_SHARE = "class_share"  # records of one class, of records: an estimate of the LFs
    COPIES = "copies"  # records whose text came before in the window, of records
    PRECISION = "precision"  # votes of the deployed model that are right: an estimate of the LFs
    VOLUME = "volume"  # records, of ``VOLUME_OF``
    SEGMENT_SHARE = "segment_share"  # records of the segment, of records


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Names one series. Empty strings where a part does not apply.

    ``probe`` is the LF, of co-votes the one that is rarer at baseline; ``other`` the second LF of a
    pair; ``label`` a class.
    """

    series: SeriesKind
    segment: str = ALL
    probe: str = ""
    other: str = ""
    label: str = ""

    def __str__(self) -> str:
        """Return a short, stable name, e.g. ``coverage(check_out)`` or ``blind_spot[party=D]``."""
        parts = [p for p in (self.probe, self.other, self.label) if p]
        name = f"{self.series}({', '.join(parts)})" if parts else str(self.series)
        return name if self.segment == ALL else f"{name}[{self.segment}]"


class CauseKind(StrEnum):
    """What a shift of the whole turns out to be."""

    CLASSES = "classes"  # the LFs are as ever, the shares of the classes are not
    WITHIN = "within"  # one segment has changed
    MIX = "mix"  # the segments are as ever, their shares are not
    SIMPSON = "simpson"  # the mix has changed so much that it hides what the segments did
    VALUES = "values"  # values that are not followed have become more frequent, or are new


@dataclass(frozen=True, slots=True)
class ValueShare:
    """A value of a segment field: its share of the records (or votes), 0…1.

    ``before``: in the whole baseline; 0 if it is new.
    """

    segment: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a shift comes from.

    ``share``: of the change that it explains; above 1 where the rest moved the other way.
    ``weight``: share of the volume that is in ``segment`` (none for a mix). Of another mix of
    classes, ``field`` is the class that moved most, ``ratio`` how many times as common it is as at
    baseline, and ``weight`` its share now; 0 where the baseline does not know its share.
    ``values``: the largest ones behind a growing ``_other``, of which ``segment`` is the first; of
    another mix of segments, the one that did most for it.
    ``confirmed``: the next shifted window said the same; the one that alarms flatters any search.
    """

    kind: CauseKind
    field: str
    segment: str
    share: float
    weight: float
    confirmed: bool = False
    ratio: float | None = None
    values: tuple[ValueShare, ...] = ()

    def same(self, other: Cause | None) -> bool:
        """Whether both name the same, and of a class also that it moved the same way."""
        named = (self.kind, self.field, self.segment, self.grew)
        return other is not None and named == (other.kind, other.field, other.segment, other.grew)

    @property
    def grew(self) -> bool:
        """Whether it is a class that became more common."""
        return self.ratio is not None and self.ratio > 1


class Kinship(StrEnum):
    """What the records say of two shifts: whether the same ones are behind both."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"  # their counts cannot tell


class Verdict(StrEnum):
    """What the detector concludes about one series in one window."""

    OK = "ok"  # compared, within what the baseline explains
    SHIFTED = "shifted"  # compared, and too far off to be chance
    BASELINE = "baseline"  # the window itself belongs to the baseline: not compared
    NO_DATA = "no_data"  # n = 0: no figure, never a zero drift
    LOW_VOLUME = "low_volume"  # too few records to tell
    LEARNING = "learning"  # too few baseline windows; only gross shifts are called
    WANDERS = "wanders"  # has no level to return to; only gross shifts are called


@dataclass(frozen=True, slots=True)
class Copies:
    """The text whose copies make up most of a shift.

    ``text``: its key, 16 hex digits; ``records``: how many have it. ``share``: of the shift, what
    all of them but one make up; of the series of copies itself, the records that have it.
    """

    text: str
    records: int
    share: float


@dataclass(frozen=True, slots=True)
class TextCounts:
    """What was compared: x of n distinct texts, and the share of them that was expected."""

    x: int
    n: int
    expected: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The detector's result for one series in one window.

    ``observed`` and ``expected`` are shares (0…1), ``low`` and ``high`` the band in which 99 %
    of quiet windows of this volume lie, ``n_eff`` the window's sample size after allowing for
    window-to-window variation. The test is on the most telling sum of the last windows: ``scale``
    is how many they are, ``share`` their share, ``due`` the share that was expected of them,
    ``effect`` the odds ratio of the two (1 = no change), ``p_value`` the two-sided
    mid-p value under the baseline. Figures are ``None`` where there is nothing to compare.

    ``x``, ``n`` and all shares are of records. Where ``texts`` is given, the test counted every
    text once: expected share and band are then those of texts, moved by as much as the shares of
    records and texts differ in the baseline.
    """

    key: SeriesKey
    window_start_ms: int
    x: int
    n: int
    verdict: Verdict
    observed: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    effect: float | None = None
    p_value: float | None = None
    n_eff: float | None = None
    scale: int = 1
    share: float | None = None
    due: float | None = None
    rank: float = 0.0
    """Signed evidence, 2·n_eff·KL(observed‖expected): how much of an incident it explains."""
    growth: float = 1.0
    """By how much more a sum of 64 windows varies than one of 64 independent windows."""
    texts: TextCounts | None = None

    @property
    def tested(self) -> Finding:
        """The same finding with x, n and the expected share of what was compared."""
        if self.texts is None:
            return self
        return replace(self, x=self.texts.x, n=self.texts.n, expected=self.texts.expected)

    @property
    def shifted(self) -> bool:
        """Whether this finding should raise or sustain an alert."""
        return self.verdict is Verdict.SHIFTED


@dataclass(frozen=True, slots=True)
class Skew:
    """A series in which training data and live traffic differ (``skew``).

    ``trained``, ``live``: its share in either, 0…1; ``effect``: odds ratio of live to trained.
    """

    key: SeriesKey
    trained: float
    live: float
    effect: float
    p_value: float


class BlindCause(StrEnum):
    """Why a stream does not see something, the most serious first."""

    NOTHING_COUNTED = "nothing_counted"  # inputs arrive, and none of them is in a window
    LF_FAILS = "lf_fails"  # one LF, on more than half of the records
    NO_SEGMENTS = "no_segments"  # no record has a value at a path of ``segment_by``
    BLIND_SPOT = "blind_spot"  # every LF abstains on more than nine in ten records


@dataclass(frozen=True, slots=True)
class Blindness:
    """One thing that a stream cannot see. ``share``: 0…1, of its latest records (or inputs).

    ``fault``, ``message``: type and text of the LF's most frequent failure; where nothing is
    counted, the most frequent reason.
    """

    cause: BlindCause
    share: float
    probe: str = ""
    fault: str = ""
    message: str = ""
    missing: str = ""
    """The field that the failing LF does not find, or the path without a value."""
    path: str = ""
    """Where ``record.text`` says that field comes from."""

    @property
    def serious(self) -> bool:
        """Whether drift goes unseen because something is broken.

        LFs that look for rare things have a large blind spot, too; one that grows is drift. Without
        segments the drift of all records still shows.
        """
        return self.cause in {BlindCause.NOTHING_COUNTED, BlindCause.LF_FAILS}

    @property
    def broken(self) -> bool:
        """Whether the stream file or an LF is to be corrected, or a producer."""
        return self.cause is not BlindCause.BLIND_SPOT

    @property
    def key(self) -> tuple[BlindCause, str]:
        """What it is about: equal for the same trouble at two times."""
        if self.cause is BlindCause.NO_SEGMENTS:
            return self.cause, self.missing
        return self.cause, self.probe
