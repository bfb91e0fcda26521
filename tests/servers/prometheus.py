"""Prometheus for tests: scrapes every second what a test names, and answers its queries."""

import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers.ports import HOST
from tests.servers.process import ServerError, ServerProcess
from tests.servers.required import require_program
from tests.servers.waiting import wait_until

INSTALL = "apt-get install prometheus prometheus-alertmanager"
LISTENING = re.compile(r"Listening on.*?address=\"?" + re.escape(HOST) + r":(\d+)")


@dataclass(frozen=True)
class ScrapeTarget:
    """What Prometheus scrapes: `host:port`, with a bearer token if it asks for one."""

    address: str
    token: str | None = None
    job: str = "tidegauge"
    metrics_path: str = "/metrics"

    def config(self) -> dict[str, Any]:
        """Return this target as an entry of `scrape_configs`."""
        entry: dict[str, Any] = {
            "job_name": self.job,
            "metrics_path": self.metrics_path,
            "static_configs": [{"targets": [self.address]}],
        }
        if self.token is not None:
            entry["authorization"] = {"type": "Bearer", "credentials": self.token}
        return entry


class PrometheusServer:
    """A Prometheus with the given targets, rule files and Alertmanagers (`host:port`)."""

    def __init__(
        self,
        targets: Sequence[ScrapeTarget] = (),
        rule_files: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        interval: str = "1s",
    ) -> None:
        binary = require_program("prometheus", install=INSTALL)
        self.folder = Path(tempfile.mkdtemp(prefix="tidegauge-prometheus-"))
        self.config_file = self.folder / "prometheus.yml"
        self.config_file.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": interval, "evaluation_interval": interval},
                    "rule_files": [str(path.resolve()) for path in rule_files],
                    "scrape_configs": [target.config() for target in targets],
                    "alerting": {
                        "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]
                    },
                }
            )
        )
        self.process = ServerProcess(
            [
                binary,
                f"--config.file={self.config_file}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address={HOST}:0",
                "--web.enable-lifecycle",
                # It finds its Alertmanagers after 5 s; an alert that fired before goes out again.
                "--rules.alert.resend-delay=1s",
            ],
            log=self.folder / "prometheus.log",
        )

    @property
    def url(self) -> str:
        """The server's address, read from its log: it chose the port itself."""
        return listening_url(self.process)

    def start(self) -> None:
        """Start the server; return when it is ready for queries."""
        self.process.start(lambda: is_ready(self.process), timeout=60)

    def close(self) -> None:
        """Kill the server and remove its data."""
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the result of an instant query, as a list of `{metric, value}`.

        Raises:
            ServerError: when Prometheus refuses the expression; with its reason.
        """
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        answer = get_json(address)
        if answer["status"] != "success":
            raise ServerError(f"{expr}: {answer['error']}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def wait_for(self, expr: str, timeout: float = 30.0) -> list[dict[str, Any]]:
        """Return the result of `expr` as soon as it has at least one series."""
        return wait_until(lambda: self.query(expr), timeout=timeout, interval=0.2, what=expr)

    def promtool(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run promtool; the caller looks at the exit code."""
        return promtool(*arguments, stdin=stdin)


def promtool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool, which needs no server to check rules and metrics."""
    return subprocess.run(
        [require_program("promtool", install=INSTALL), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def listening_url(process: ServerProcess) -> str:
    """Return the address that a Prometheus or Alertmanager says, in its log, it listens on."""
    found = LISTENING.findall(process.log_text())
    if not found:
        raise ServerError(f"{process.name} listens nowhere yet\n{process.log_tail()}")
    return f"http://{HOST}:{found[-1]}"


def is_ready(process: ServerProcess) -> bool:
    """Tell whether a Prometheus or Alertmanager listens and answers that it is ready."""
    if not LISTENING.search(process.log_text()):
        return False
    try:
        with urllib.request.urlopen(f"{listening_url(process)}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # Not there yet; an answer of 503 is an OSError, too.
        return False


def get_json(address: str) -> dict[str, Any]:
    """Fetch a JSON object; an error's body is one as well."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            body = answer.read()
    except urllib.error.HTTPError as refused:
        body = refused.read()
    parsed: dict[str, Any] = json.loads(body)
    return parsed
