"""What a stream file says of the source of its records."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from tidegauge_probes.documents.spec import Spec
from tidegauge_service.config.time_fields import Delay, Duration


def _encoding(name: str) -> str:
    """Lines are split before they are decoded, so line ends and quotes must be ASCII bytes."""
    try:
        ascii_like = b'\n\t,;|"'.decode(name) == '\n\t,;|"'
    except (LookupError, UnicodeDecodeError):
        ascii_like = False
    if not ascii_like:
        msg = f"'{name}' is not an encoding that can be read line by line, such as utf-8 or cp1252"
        raise ValueError(msg)
    return name


class CsvDialect(Spec):
    """How CSV and TSV files are written, if the header is ambiguous."""

    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Default: whichever of , ; tab | splits the header into the most columns.",
    )
    quote: str = Field(default='"', max_length=1, description="Empty: quotes are plain characters.")
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"


class FileSource(Spec):
    """Records in files: JSON lines, JSON, CSV, TSV or Parquet, gzipped or not.

    Each file is one partition.
    """

    kind: Literal["file"]
    path: str = Field(description="A path or a glob, relative to the stream file.")
    format: Literal["jsonl", "json", "csv", "tsv", "parquet"] | None = Field(
        default=None, description="Default: from the name of each file."
    )
    csv: CsvDialect = CsvDialect()
    on_gap: Literal["continue", "halt"] = Field(
        default="continue",
        description="If a file was rewritten, truncated, or removed before it was fully read: "
        "continue with what is there, or halt until the gap is accepted. Both alert.",
    )


IDLE_GRACE = (
    "How long a fully read partition waits for stragglers before its watermark follows the other "
    "partitions."
)
SILENCE_GRACE = (
    "How long windows wait for records while the whole stream is silent. After a producer outage "
    "no longer than this, nothing is late."
)


class KafkaSource(Spec):
    """Records in a Kafka topic. Partitions are shared by the workers of one group."""

    kind: Literal["kafka"]
    bootstrap: str = Field(description="host:port[,host:port]")
    topic: str
    group: str = "tidegauge"
    instance: str | None = Field(
        default=None,
        description="Static membership: each worker's name in the group, built from {hostname}, "
        "{stream} and {worker}. Empty: none.",
    )
    session_timeout: Duration = Field(
        default=45_000, description="A worker that is silent for this long loses its partitions."
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where to start in a partition that was never read before."
    )
    idle_grace: Delay = Field(default=60_000, description=IDLE_GRACE)
    silence_grace: Delay = Field(default=3_600_000, description=SILENCE_GRACE)
    on_gap: Literal["continue", "halt"] = Field(
        default="continue",
        description="If the topic no longer holds the next input: skip to what it does hold, or "
        "halt the partition until the gap is accepted. Both alert.",
    )
    tombstones: Literal["skip", "dead_letter"] = Field(
        default="skip",
        description="What to do with records without a value (deletes in a compacted topic).",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = Field(
        default=None, description="Prefer the variable TIDEGAUGE_KAFKA_PASSWORD."
    )
    ssl_cafile: str | None = Field(
        default=None, description="CA certificates (PEM) to verify the broker's against."
    )
    ssl_certfile: str | None = Field(
        default=None, description="Client certificate (PEM), for mTLS."
    )
    ssl_keyfile: str | None = Field(default=None, description="Its key, if not in ssl_certfile.")
    ssl_check_hostname: bool = Field(
        default=True, description="Whether the broker's certificate must match the host name."
    )

    @model_validator(mode="after")
    def _security_fits(self) -> Self:
        sasl = self.security_protocol.startswith("SASL")
        # Not what was written: the stored form of a stream file names every field.
        fields = type(self).model_fields
        given = {name for name, field in fields.items() if getattr(self, name) != field.default}
        if sasl and not (self.sasl_mechanism and self.sasl_username):
            msg = f"{self.security_protocol} needs sasl_mechanism and sasl_username"
            raise ValueError(msg)
        for prefix, used in (("sasl_", sasl), ("ssl_", self.security_protocol.endswith("SSL"))):
            idle = sorted(name for name in given if name.startswith(prefix) and not used)
            if idle:
                which = "a SASL protocol" if prefix == "sasl_" else "SSL or SASL_SSL"
                msg = f"{', '.join(idle)} would not be used: set security_protocol to {which}"
                raise ValueError(msg)
        if self.ssl_keyfile and not self.ssl_certfile:
            msg = "ssl_keyfile needs ssl_certfile"
            raise ValueError(msg)
        return self


class LogSource(Spec):
    """Events posted over HTTP and stored in tidegauge's own database, without Kafka."""

    kind: Literal["log"]
    partitions: int = Field(default=4, ge=1, le=256, description="Can grow, but not shrink.")
    deduplicate: bool = Field(
        default=True, description="Skip an event whose id (`record.id`) was seen before."
    )
    idle_grace: Delay = Field(default=60_000, description=IDLE_GRACE)
    silence_grace: Delay = Field(default=3_600_000, description=SILENCE_GRACE)
    max_request_bytes: int = Field(default=8 * 2**20, ge=1)
    max_backlog: int = Field(
        default=1_000_000, ge=1, description="Maximum number of events waiting to be counted."
    )
    max_backlog_bytes: int = Field(default=2**30, ge=1)
    lease: Duration = Field(
        default=10_000, description="A reader that is silent for this long loses its partitions."
    )


class DemoSource(Spec):
    """A built-in, seeded stream: a spam filter whose traffic changes after a while."""

    kind: Literal["demo"]
    seed: int = 7
    rate: float = Field(
        default=0, ge=0, description="Records per second; 0 means as fast as possible."
    )
    limit: int | None = Field(default=None, description="End after this many records.")


Source = Annotated[FileSource | KafkaSource | LogSource | DemoSource, Field(discriminator="kind")]


class SchemaRegistry(Spec):
    """The registry of Avro schemas. It must offer Confluent's routes, as most registries do."""

    url: str = Field(
        pattern="^https?://[^@?#]+$", description="Without user name, password and query."
    )
    username: str | None = None
    password: SecretStr | None = Field(
        default=None, description="Prefer the variable TIDEGAUGE_SCHEMA_REGISTRY_PASSWORD."
    )
    ssl_cafile: str | None = Field(default=None, description="CA certificates (PEM).")
