"""What the page shows of a stream: how its reading stands, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import late_advice
from tidegauge_alerts.messages.phrases import clean
from tidegauge_alerts.model import AlertState, Severity
from tidegauge_probes.findings import BlindCause
from tidegauge_service.store.states import CandidateState, WindowState
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.web import addresses
from tidegauge_service.web.words import NOTHING, Fact, Link, count, duration, moment


class Light(StrEnum):
    """The state light: always beside words that say the same."""

    ALARM = "alarm"
    WATCH = "watch"
    CALM = "calm"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A light and its words."""

    light: Light
    text: str


@dataclass(frozen=True, slots=True)
class StreamCard:
    """One stream on the page."""

    link: Link
    state: State
    reading: str
    next_step: str
    """What to do or to wait for; empty when all is as it should be."""
    facts: tuple[Fact, ...]
    links: tuple[Link, ...]


def card(summary: StreamSummary, *, chosen: bool) -> StreamCard:
    """Return a stream as the page shows it."""
    name = summary.stream.name
    return StreamCard(
        link=Link(clean(name), addresses.page(name), chosen),
        state=state(summary),
        reading=reading(summary),
        next_step=next_step(summary),
        facts=_facts(summary),
        links=_links(name),
    )


def number_of(summary: StreamSummary, state: AlertState, severity: Severity | None = None) -> int:
    """Return how many alerts are in a state."""
    return sum(
        n
        for (found, grave, _kind), n in summary.alerts.items()
        if found == state and severity in {None, grave}
    )


def state(*summaries: StreamSummary) -> State:
    """Return the light of one stream, or of several together."""
    firing = sum(number_of(s, AlertState.FIRING) for s in summaries)
    critical = sum(number_of(s, AlertState.FIRING, Severity.CRITICAL) for s in summaries)
    pending = sum(number_of(s, AlertState.PENDING) for s in summaries)
    if firing:
        return State(Light.ALARM, f"{count(firing, 'alert')} firing, {count(critical)} critical")
    if any(found.serious for s in summaries for found in s.blind or ()):
        return State(Light.ALARM, "blind")
    if pending:
        return State(Light.WATCH, f"{count(pending, 'alert')} pending")
    causes = {found.cause for s in summaries for found in s.blind or ()}
    if causes:
        empty = BlindCause.NO_SEGMENTS in causes
        return State(Light.WATCH, "empty segments" if empty else "large blind spot")
    if any(_phase(s) in COMPARING for s in summaries):
        settled = sum(number_of(s, AlertState.SETTLED) for s in summaries)
        return State(
            Light.CALM, f"{count(settled, 'alert')} settled" if settled else "no open alert"
        )
    return State(Light.UNKNOWN, "nothing compared yet")


def reading(summary: StreamSummary) -> str:
    """Return where reading and judging stand, in a few words."""
    if not summary.partitions:
        return "waiting for its source"
    drained = all(p.drained for p in summary.partitions)
    verb = "drained" if drained else "reading"
    return f"{verb}, {_PHASES[_phase(summary)]}"


COMPARING = {WindowState.LEARNING, WindowState.COMPARED}

_PHASES: Mapping[WindowState | None, str] = {
    None: "waiting for the first window",
    WindowState.BEFORE: "counting, before its baseline",
    WindowState.BASELINE: "learning its baseline",
    WindowState.LEARNING: "comparing with a short baseline",
    WindowState.COMPARED: "comparing with its baseline",
}


def _phase(summary: StreamSummary) -> WindowState | None:
    return summary.last_window.state if summary.last_window else None


def next_step(summary: StreamSummary) -> str:
    """Return what to do, or what to wait for."""
    if not summary.partitions:
        return (
            "No partition seen yet. Check that 'tidegauge run' is reading this stream and that its "
            "file or topic exists, or run 'tidegauge doctor'."
        )
    if summary.quarantined:
        names = ", ".join(f"'{clean(q.probe)}'" for q in summary.quarantined)
        return (
            f"Quarantined, because it hung or crashed its worker: LF {names}. Fix and deploy it, "
            "or release it with 'tidegauge probes release'."
        )
    if summary.held:
        where = ", ".join(str(gap.partition) for gap in summary.held)
        return (
            f"Partition {where} is halted: the source no longer has its next inputs. Check "
            "'tidegauge streams gaps', then resume with 'tidegauge streams accept-gap'."
        )
    return (
        _out_of_time(summary) or _not_seen(summary) or _by_the_clock(summary) or _waiting(summary)
    )


def _by_the_clock(summary: StreamSummary) -> str:
    return "" if summary.clock_change is None else f"{summary.clock_change.advice}."


def _not_seen(summary: StreamSummary) -> str:
    if summary.blind:
        return f"{'. '.join(phrases.blind(summary.blind))}."
    if summary.dead_letters and not summary.records:
        return "No input is a valid record: compare 'record' in the stream file with the inputs."
    return ""


def _waiting(summary: StreamSummary) -> str:
    row = summary.stream
    steps = {
        None: f"A window of {duration(row.window_ms)} closes when event time has passed its end "
        f"by {duration(row.lateness_ms)}.",
        WindowState.BEFORE: "Records are counted; the range of 'baseline' in the stream file "
        "begins later.",
        WindowState.BASELINE: "Windows are counted. The first one after the range of 'baseline' "
        "in the stream file freezes the baseline, and is compared with it.",
        WindowState.LEARNING: "The baseline has few windows, so only large shifts are reported. "
        "Learning ends after 48 windows over two days without an open alert.",
    }
    return steps.get(_phase(summary), "")


def _out_of_time(summary: StreamSummary) -> str:
    """Return what keeps records out of the windows, if event time is the trouble."""
    zone = summary.stream.timezone
    if summary.stale_ms is not None:
        return (
            f"The watermark has not moved since {moment(summary.stale_ms, zone)}, so no window "
            "closes. "
            "Check that workers are running and that every partition has an owner."
        )
    if summary.late_ms is not None:
        return (
            f"Since {moment(summary.late_ms, zone)}, most records have been too late to be "
            f"counted. {late_advice(summary.source)}."
        )
    return ""


def _facts(summary: StreamSummary) -> tuple[Fact, ...]:
    name, row = summary.stream.name, summary.stream
    waiting = summary.candidates.get(CandidateState.PROPOSED, 0)
    return (
        Fact("Records", count(summary.records)),
        Fact("Not read yet", _unread(summary)),
        Fact("Late records", count(summary.late)),
        Fact("Dead letters", _dead_letters(summary.dead_letters)),
        Fact("Last window", _last_window(summary)),
        *_failing_lfs(summary),
        Fact("Watermark", moment(_watermark(summary), row.timezone)),
        Fact("Times", f"in {row.timezone}"),
        Fact("Windows evaluated", f"{count(summary.windows)}, {duration(row.window_ms)} each"),
        Fact("Baseline", row.baseline or "not frozen yet"),
        Fact("Labeling functions", f"ProbeSet {row.probe_set}"),
        Fact("Candidates waiting", count(waiting), addresses.api_candidates(stream=name)),
    )


def _unread(summary: StreamSummary) -> str:
    lags = [p.lag for p in summary.partitions]
    known = [lag for lag in lags if lag is not None]
    if not lags or len(known) < len(lags):
        return "unknown"
    n = count(sum(known))
    ended = summary.source == "file" and all(p.drained for p in summary.partitions)
    return f"{n} (the files were read to their end; restart to read new ones)" if ended else n


def _dead_letters(reasons: Mapping[str, int]) -> str:
    """Return the total and its parts, the most frequent first."""
    if not reasons:
        return "0"
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    parts = ", ".join(f"{n:,} {clean(reason)}" for reason, n in ordered)
    return f"{sum(reasons.values()):,} ({parts})"


def _last_window(summary: StreamSummary) -> str:
    last = summary.last_window
    if last is None:
        return NOTHING
    return f"{moment(last.start_ms, summary.stream.timezone)}, {count(last.records, 'record')}"


def _failing_lfs(summary: StreamSummary) -> tuple[Fact, ...]:
    """Return what no alert tells of: failures that the training records had as well."""
    last = summary.last_window
    said = phrases.failures(last.failing) if last else ""
    return (Fact("Failing LFs, last window", said),) if said else ()


def _watermark(summary: StreamSummary) -> int | None:
    """Return the stream's event time in whole seconds."""
    reached = summary.watermark_ms
    return None if reached is None else reached // 1000 * 1000


def _links(name: str) -> tuple[Link, ...]:
    formats = (("NDJSON", "ndjson"), ("CSV", "csv"), ("Parquet", "parquet"))
    return (
        Link("Stream", addresses.api_stream(name)),
        Link("Windows", addresses.api_windows(name)),
        Link("Precision", addresses.api_precision(name)),
        Link("Skew", addresses.api_skew(name)),
        Link("False alarms", addresses.api_false_alarms(name)),
        Link("Deployments", addresses.api_deployments(name)),
        Link("Alerts", addresses.api_alerts(name)),
        Link("Candidates", addresses.api_candidates(stream=name)),
        *(
            Link(f"Candidates as {text}", addresses.api_candidates(stream=name, format=format_))
            for text, format_ in formats
        ),
    )
