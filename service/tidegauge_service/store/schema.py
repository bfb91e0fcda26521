"""Tables. Times are epoch milliseconds; texts that hold JSON say so.

``stream_partition`` and ``cursor`` hold the three monotone cursors of the protocol: next
offset, closed through, evaluated through. Everything else is written only in the transaction
that moves one of them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Identity = BigInteger().with_variant(Integer, "sqlite")
"""SQLite assigns row numbers only to columns of type INTEGER."""


def _stream(*, key: bool = True) -> Column[int]:
    return Column("stream_id", Integer, ForeignKey("stream.id"), primary_key=key, nullable=False)


stream = Table(
    "stream",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("config", Text, nullable=False),  # JSON, secrets left out
    Column("source", Text),  # JSON: what the positions are positions in; null: not known yet
    Column("window_ms", BigInteger, nullable=False),
    Column("lateness_ms", BigInteger, nullable=False),
    Column("timezone", String(64), nullable=False),  # in which the page shows its times
    Column("epoch", Integer, nullable=False, default=0),  # +1 with each change of `deployment`
    Column(
        "stale_ms", BigInteger
    ),  # since when the watermark stood still when it was told; or null
    Column("late_ms", BigInteger),  # since when most records came late when it was told; or null
    Column("blind", Text),  # JSON: what it cannot see; null while that is not known
    Column("blind_ms", BigInteger),  # since when receivers know that it is blind; or null
    Column("created_ms", BigInteger, nullable=False),
)

# Which ProbeSet counts which windows: those that start in [from_ms, until_ms).
deployment = Table(
    "deployment",
    metadata,
    Column("id", Identity, primary_key=True),
    _stream(key=False),
    Column("probe_set", String(16), nullable=False),
    Column("reference", Text, nullable=False),  # `probes` of the stream file
    Column("role", String(10), nullable=False),  # live | shadow
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),  # null: until something else is deployed
    Column("baseline", String(16)),  # null until it is fitted, and of shadows
    Column("range_from_ms", BigInteger),  # the windows that it is to be fitted from
    Column("range_until_ms", BigInteger),
    Column("made_as", String(10), nullable=False),  # Change
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("ended_ms", BigInteger),
    Column("ended_by", String(200)),
    Index("ix_deployment_stream", "stream_id", "id"),
)

cursor = Table(
    "cursor",
    metadata,
    _stream(),
    Column("kind", String(10), primary_key=True),  # closed | evaluated | cut
    Column("through_ms", BigInteger),  # null until the first window closes
)

stream_partition = Table(
    "stream_partition",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("end_offset", BigInteger),  # as last seen by the owner
    Column("end_ms", BigInteger),  # when that was
    Column("watermark_ms", BigInteger),
    Column("latest_event_ms", BigInteger),
    Column("drained", Boolean, nullable=False, default=False),
    Column("records", BigInteger, nullable=False, default=0),
    Column("late", BigInteger, nullable=False, default=0),
    Column("tombstones", BigInteger, nullable=False, default=0),  # skipped: no value, a delete
    Column("owner", String(200)),
    Column("topic_id", String(40)),  # of which the offsets are, if the source has such a thing
    Column("mark", Text),  # the source's own note of where that is (files)
    Column("moved_ms", BigInteger, nullable=False, default=0),  # when the watermark last rose
    Column("heard_ms", BigInteger),  # when inputs of it were last read
    Column("updated_ms", BigInteger, nullable=False),
)

# The `file` source: which file is which partition.
source_file = Table(
    "source_file",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),  # as it was last called
    Column("format", String(10), nullable=False),
    Column("head_bytes", Integer, nullable=False),
    Column("head", String(32), nullable=False),  # digest of so many first bytes
    Column("state", String(60), nullable=False),  # size and time of change
    Column("gone", Boolean, nullable=False),
)

# Files of history: each is a partition below -1.
backfill = Table(
    "backfill",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the content
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("stream_id", "digest"),
)

source_decision = Table(
    "source_decision",
    metadata,
    Column("id", Identity, primary_key=True),
    _stream(key=False),
    Column("partition", Integer, nullable=False),
    Column("cause", String(20), nullable=False),
    Column("from_offset", BigInteger, nullable=False),
    Column("to_offset", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),  # inputs never read, as far as is known
    Column("topic_id", String(40)),
    Column("detected_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),  # null: it waits for a person
    Column("decided_by", String(200)),
    Column("applied_ms", BigInteger),  # null: the position was not moved yet
    Index("ix_source_decision_stream", "stream_id", "applied_ms"),
)

pane = Table(
    "pane",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("probe_set", String(16), primary_key=True),
    Column("records", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),  # PaneCounts.encode
    Column("texts", LargeBinary),  # TextSample.encode; null once the window is evaluated
)

# What the partitions' samples of texts came to when a window was evaluated.
distinct_texts = Table(
    "distinct_texts",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("probe_set", String(16), primary_key=True),
    Column("records", BigInteger, nullable=False),
    Column("texts", BigInteger, nullable=False),  # distinct ones, or about so many
    Column("level", Integer, nullable=False),  # one in 2^level was kept
    Column("counts", LargeBinary, nullable=False),  # of those: PaneCounts.encode
    Column("frequent", Text, nullable=False),  # JSON: [{key, copies, outcomes}]
)

late_count = Table(
    "late_count",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # raw bytes, cut at 64 KiB
    Column("size", BigInteger, nullable=False),  # bytes before the cut
    Column("received_ms", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger),  # the source's own
    Column("key", String(32)),  # of the event that it was, which it gave up
    Index("ix_dead_letter_reason", "stream_id", "reason"),
    Index("ix_dead_letter_received", "stream_id", "received_ms"),
)

# Outlives the rows, which retention, replays and people remove.
dead_letter_count = Table(
    "dead_letter_count",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("reason", String(40), primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("replayed", BigInteger, nullable=False, default=0),
)

sample = Table(
    "sample",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("priority", BigInteger, nullable=False),
    Column("buckets", Text, nullable=False),  # JSON list
    Column("record_id", Text, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("outcomes", LargeBinary, nullable=False),  # int8 per LF
    Column("segments", Text, nullable=False),  # JSON list
)

# The `log` source: events that came by HTTP. `stream_partition` says how far they are counted.
event = Table(
    "event",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(32)),  # digest of its id: `event_key`
    Column("payload", LargeBinary, nullable=False),
    Column("at_byte", BigInteger, nullable=False),  # bytes appended to the partition before it
    Column("received_ms", BigInteger, nullable=False),
    Index("ix_event_received", "stream_id", "received_ms"),
)

event_partition = Table(
    "event_partition",
    metadata,
    _stream(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),  # of the next event to append
    Column("bytes", BigInteger, nullable=False),  # appended so far
    Column("owner", String(200)),  # the reader whose it is, while its lease lasts
)

event_reader = Table(
    "event_reader",
    metadata,
    _stream(),
    Column("name", String(200), primary_key=True),
    Column("lease_ms", BigInteger, nullable=False),
)

event_key = Table(
    "event_key",
    metadata,
    _stream(),
    Column("kind", String(10), primary_key=True),  # request | event
    Column("digest", String(32), primary_key=True),  # of the key
    Column("body", String(32)),  # digest of a request's body
    Column("answer", Text),  # JSON: what a request was answered
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_event_key_created", "stream_id", "created_ms"),
)

removed_rows = Table(
    "removed_rows",
    metadata,
    _stream(),
    Column("name", String(40), primary_key=True),  # of the table
    Column("n", BigInteger, nullable=False),
)

probe_set = Table(
    "probe_set",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("origin", Text, nullable=False),
    Column("layout", Text, nullable=False),  # JSON: {probes, classes, labels}
    Column("contents", Text, nullable=False),  # JSON, see labeling/contents.py; no source
    Column("created_ms", BigInteger, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    _stream(),
    Column("probe_set", String(16), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # LFs, then slices
    Column("probe", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("released_ms", BigInteger),  # null: it is not called
)

baseline = Table(
    "baseline",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), unique=True),
    Column("probe_set", String(16), nullable=False),
    Column("source", Text, nullable=False),  # JSON: where it came from
    Column("records", BigInteger, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),  # Baseline.encode
    Column("clock_change", Text),  # JSON: the change that its cycles follow, if read in UTC
    Column("created_ms", BigInteger, nullable=False),
)

series = Table(
    "series",
    metadata,
    Column("id", Identity, primary_key=True),
    _stream(key=False),
    Column("series", String(20), nullable=False),
    Column("segment", Text, nullable=False),
    Column("probe", Text, nullable=False),
    Column("other", Text, nullable=False),
    Column("label", Text, nullable=False),
    UniqueConstraint("stream_id", "series", "segment", "probe", "other", "label"),
)

window = Table(
    "window",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(10), nullable=False),  # before | baseline | learning | compared
    Column("probe_set", String(16), nullable=False),
    Column("baseline", String(16)),
    Column("records", BigInteger, nullable=False),
    Column("evaluated_ms", BigInteger, nullable=False),
)

window_stat = Table(
    "window_stat",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, ForeignKey("series.id"), primary_key=True),
    Column("x", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("x_texts", BigInteger),  # null: not compared by distinct texts
    Column("n_texts", BigInteger),
    Column("expected", Float),
    Column("low", Float),
    Column("high", Float),
    Column("effect", Float),  # odds ratio
    Column("p_value", Float),
    Column("n_eff", Float),
    Column("rank", Float),
    Column("scale", Integer, nullable=False, default=1),  # windows that the test has summed
    Column("share", Float),  # over them
    Column("verdict", String(12), nullable=False),
    Index("ix_window_stat_series", "series_id", "window_start_ms"),
)

# Votes of a sample of each window of a baseline's range, until its label model is fitted from them.
vote_sample = Table(
    "vote_sample",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("probe_set", String(16), primary_key=True),
    Column("records", BigInteger, nullable=False),  # that the window had
    Column("outcomes", LargeBinary, nullable=False),  # int8, record by record
)

precision = Table(
    "precision",
    metadata,
    _stream(),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # JSON of the whole WindowPrecision
)

# Training/serving skew: in what a baseline of live windows differs from that of the training data.
skew = Table(
    "skew",
    metadata,
    _stream(),
    Column("baseline", String(16), primary_key=True),
    Column("training", String(16), nullable=False),
    Column("content", Text, nullable=False),  # JSON, a list of Skew
    Column("tested_ms", BigInteger, nullable=False),
)

# False incidents to expect of windows that are compared with a baseline.
forecast = Table(
    "forecast",
    metadata,
    _stream(),
    Column("baseline", String(16), primary_key=True),
    Column("budget", String(40), nullable=False),  # as written: 1 per quarter
    Column("allowed", Float, nullable=False),  # the same per window
    Column("expected", Float),  # per window; null while learning
    Column("wandering", Text, nullable=False),  # JSON: names of the series that wander
    Column("silent_rules", Text, nullable=False),  # JSON: rules that cannot fire, and why
    Column("left_out", Text, nullable=False),  # JSON: [from, until] of stretches not learned from
)

alert = Table(
    "alert",
    metadata,
    Column("id", String(64), primary_key=True),
    _stream(key=False),
    Column("fingerprint", String(40), nullable=False),
    Column("incident", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("told", Boolean, nullable=False),  # whether receivers know that it fires
    Column("opened_window_ms", BigInteger, nullable=False),
    Column("resolved_window_ms", BigInteger),
    Column("content", Text, nullable=False),  # JSON of the whole Alert
    Index("ix_alert_state", "stream_id", "state"),
    Index("ix_alert_resolved", "stream_id", "resolved_window_ms"),
    Index("ix_alert_opened", "opened_window_ms", "id"),
    Index("ix_alert_incident", "incident"),
)

alert_transition = Table(
    "alert_transition",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("alert_id", String(64), ForeignKey("alert.id"), nullable=False, index=True),
    Column("window_start_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),  # JSON of the whole Transition
)

notification = Table(
    "notification",
    metadata,
    Column("id", Identity, primary_key=True),
    _stream(key=False),
    Column("receiver", String(100), nullable=False),
    Column("dedup_key", String(200), nullable=False),
    Column("incident", String(200)),  # `group_key` of the message: delivered in order
    Column("message", Text, nullable=False),  # JSON
    Column("state", String(10), nullable=False),  # waiting | sent | failed
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease_ms", BigInteger, nullable=False, default=0),
    Column("error", Text),
    Column("sent_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("receiver", "dedup_key"),
    Index("ix_notification_due", "state", "due_ms"),
    Index("ix_notification_incident", "receiver", "incident"),
)

candidate = Table(
    "candidate",
    metadata,
    Column("id", String(32), primary_key=True),
    _stream(key=False),
    Column("window_start_ms", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("votes", Text, nullable=False),  # JSON: LF → class name
    Column("segments", Text, nullable=False),  # JSON list
    Column("state", String(10), nullable=False),
    Column("probe_set", String(16), nullable=False),
    Column("baseline", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_candidate_page", "stream_id", "window_start_ms", "id"),
)

candidate_reason = Table(
    "candidate_reason",
    metadata,
    Column("candidate_id", String(32), ForeignKey("candidate.id"), primary_key=True),
    Column("reason", String(20), primary_key=True),
    Column("alert_id", String(64), nullable=False, index=True),
    Column("inclusion_probability", Float, nullable=False),
    Column("rank", SmallInteger, nullable=False),
)
