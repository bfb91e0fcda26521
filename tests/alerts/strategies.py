"""Hypothesis strategies for findings, sane and insane but finite."""

from typing import Any

from hypothesis import strategies as st

from tests.alerts.builders import COVERAGE, finding
from tidegauge_alerts.model import Rule
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict

shares = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))
numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(max_size=8)

keys = st.builds(
    SeriesKey, st.sampled_from(SeriesKind), segment=names, probe=names, other=names, label=names
)


often = st.sampled_from([Verdict.SHIFTED] * 4 + [Verdict.OK] * 4 + list(Verdict))


@st.composite
def sane(draw: st.DrawFn, key: SeriesKey = COVERAGE) -> Finding:
    """Findings as a detector makes them, on either side of the baseline, small and large."""
    verdict, odds = draw(often), draw(st.sampled_from([0.2, 0.6, 1.6, 4.0]))
    rate = 0.1 * odds / (0.9 + 0.1 * odds) if verdict is Verdict.SHIFTED else 0.1
    return finding(verdict, rate, key=key, expected=0.1, effect=odds)


@st.composite
def findings(draw: st.DrawFn, key: SeriesKey = COVERAGE, window_start_ms: int = 0) -> Finding:
    """Any finding whose figures are finite, or are not there."""
    n = draw(st.one_of(st.just(0), st.integers(1, 10**9)))
    maybe: dict[str, Any] = {
        "observed": draw(st.none() | shares),
        "expected": draw(st.none() | shares),
        "low": draw(st.none() | shares),
        "high": draw(st.none() | shares),
        "effect": draw(st.none() | st.floats(0, 1e300)),
        "p_value": draw(st.none() | shares),
        "n_eff": draw(st.none() | st.floats(0, 1e308)),
        "rank": draw(numbers),
        "scale": draw(st.integers(1, 64)),
    }
    return Finding(key, window_start_ms, draw(st.integers(0, n)), n, draw(often), **maybe)


rules = st.builds(
    Rule,
    for_windows=st.integers(1, 3),
    quiet_windows=st.integers(1, 3),
    resolve_nats=st.floats(0.1, 5),
    drift_after=st.integers(1, 5),
    critical_odds=st.floats(1.1, 5),
)
