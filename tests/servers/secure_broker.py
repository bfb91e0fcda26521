"""An Apache Kafka broker with every kind of listener that Kafka sources know, good ones and bad."""

import shutil
import tempfile
from pathlib import Path

from tests.servers.broker import KafkaBroker
from tests.servers.certificates import Authority
from tests.servers.ports import HOST, free_port

USER, PASSWORD = "reader", "correct-horse"

PROTOCOLS = {
    "TLS": "SSL",
    "MUTUAL": "SSL",  # wants a client certificate
    "EXPIRED": "SSL",  # its certificate was valid once
    "ELSEWHERE": "SSL",  # its certificate names another host
    "SASL": "SASL_PLAINTEXT",
    "SASLTLS": "SASL_SSL",
}

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class SecureBroker(KafkaBroker):
    """A broker of our own; `at["TLS"]` and so on are the addresses of its listeners."""

    def __init__(self) -> None:
        self.certificates = Path(tempfile.mkdtemp(prefix="tidegauge-certificates-"))
        self.authority = Authority(self.certificates)
        self.at = {name: f"{HOST}:{free_port()}" for name in PROTOCOLS}
        super().__init__()

    def close(self) -> None:
        """Kill the broker; remove its data and certificates."""
        super().close()
        shutil.rmtree(self.certificates, ignore_errors=True)

    def listeners(self) -> dict[str, tuple[str, str]]:
        """Return name → (address, protocol) of the listeners beside the plain one."""
        return {name: (self.at[name], protocol) for name, protocol in PROTOCOLS.items()}

    def more_properties(self) -> str:
        """Return the keystores and the logins of the listeners."""
        issue = self.authority.issue
        good = issue("broker")
        stores = {
            "TLS": good,
            "MUTUAL": good,
            "SASLTLS": good,
            "EXPIRED": issue("expired", days=-1),
            "ELSEWHERE": issue("elsewhere", names="DNS:broker.example"),
        }
        lines = ["sasl.enabled.mechanisms=" + ",".join(MECHANISMS)]
        for name, (pem, key) in stores.items():
            both = self.certificates / f"{name}.both.pem"
            both.write_text(key.read_text() + pem.read_text())
            lines += [
                f"listener.name.{name.lower()}.ssl.keystore.type=PEM",
                f"listener.name.{name.lower()}.ssl.keystore.location={both}",
                f"listener.name.{name.lower()}.ssl.truststore.type=PEM",
                f"listener.name.{name.lower()}.ssl.truststore.location={self.authority.pem}",
            ]
        lines.append("listener.name.mutual.ssl.client.auth=required")
        security = "org.apache.kafka.common.security"
        for name in ("sasl", "sasltls"):
            start = f"listener.name.{name}"
            lines.append(
                f"{start}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required "
                f'user_{USER}="{PASSWORD}";'
            )
            lines += [
                f"{start}.{mechanism.lower()}.sasl.jaas.config="
                f"{security}.scram.ScramLoginModule required;"
                for mechanism in MECHANISMS[1:]
            ]
        return "\n".join(lines)

    def format_options(self) -> list[str]:
        """Return the SCRAM users, who live in Kafka's own metadata."""
        return [f"--add-scram={m}=[name={USER},password={PASSWORD}]" for m in MECHANISMS[1:]]
