"""Alertmanager for tests: takes alerts, groups them, and calls a test's webhook."""

import json
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.servers.ports import HOST
from tests.servers.process import ServerProcess
from tests.servers.prometheus import INSTALL, is_ready, listening_url
from tests.servers.required import require_program


class AlertmanagerServer:
    """An Alertmanager that sends every alert to `webhook`, at once; without one, nowhere."""

    def __init__(self, webhook: str | None = None) -> None:
        binary = require_program("prometheus-alertmanager", install=INSTALL)
        self.folder = Path(tempfile.mkdtemp(prefix="tidegauge-alertmanager-"))
        config = self.folder / "alertmanager.yml"
        hooks = [] if webhook is None else [{"url": webhook, "send_resolved": True}]
        config.write_text(
            yaml.safe_dump(
                {
                    "route": {
                        "receiver": "test",
                        "group_wait": "1s",
                        "group_interval": "1s",
                        "repeat_interval": "1h",
                    },
                    "receivers": [{"name": "test", "webhook_configs": hooks}],
                }
            )
        )
        self.process = ServerProcess(
            [
                binary,
                f"--config.file={config}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address={HOST}:0",
                "--cluster.listen-address=",
            ],
            log=self.folder / "alertmanager.log",
        )

    @property
    def url(self) -> str:
        """The server's address, read from its log: it chose the port itself."""
        return listening_url(self.process)

    def start(self) -> None:
        """Start the server; return when it is ready."""
        self.process.start(lambda: is_ready(self.process), timeout=60)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds now (API v2)."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            held: list[dict[str, Any]] = json.loads(answer.read())
        return held

    def close(self) -> None:
        """Kill the server and remove its data."""
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
