"""The deployments that a worker counts with now, loaded again when others have changed them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from tidegauge_service.ingest.deployed.open_deployments import OpenDeployments
from tidegauge_service.ingest.deployed.probe_set_cache import ProbeSetCache
from tidegauge_service.ingest.heartbeat import Columns
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import quarantine
from tidegauge_service.store.scope import StreamScope

log = structlog.get_logger()

REFRESH_EVERY_S = 2.0
"""How often quarantine and epoch are read: an LF that another worker's watchdog has stopped, or
that somebody has released, is known after so long."""


class CurrentDeployments:
    """Loaded on first use, and again after they have changed (``stream.epoch``)."""

    def __init__(
        self,
        scope: StreamScope,
        cache: ProbeSetCache,
        renewed: Callable[[Columns], None] | None = None,
    ) -> None:
        """Load nothing yet; *renewed* is called with the LFs that may run, when they change."""
        self.quarantined: Mapping[str, frozenset[int]] = {}
        """ProbeSet → columns of the LFs and slices that must not be called."""
        self._scope = scope
        self._cache = cache
        self._renewed = renewed
        self._open: OpenDeployments | None = None
        self._refreshed_s: float | None = None

    @property
    def loaded(self) -> bool:
        """Whether ``load`` has nothing to do."""
        return self._open is not None

    def load(self) -> OpenDeployments:
        """Return the deployments that count now. Raises ProbeError if one cannot be loaded."""
        if self._open is None:
            self._open = self._cache.open(self._scope.database, self._scope.stream)
            if self._renewed is not None:
                self._renewed(self._open.columns)
        return self._open

    def refresh(self) -> bool:
        """See what others have changed; return whether what is loaded is out of date.

        At most every few seconds: a changed epoch is refused by the commit at the latest.
        """
        now = time.monotonic()
        if self._refreshed_s is not None and now - self._refreshed_s < REFRESH_EVERY_S:
            return False
        with self._scope.database.read() as connection:
            self.quarantined = quarantine.places(connection, self._scope.stream)
            epoch = streams.epoch(connection, self._scope.stream.id)
        self._refreshed_s = now
        return self._open is not None and epoch != self._open.stream.epoch

    def forget(self) -> None:
        """Load again on next use."""
        if self._open is not None:
            stream = self._open.stream
            log.info("deployments_changed", stream=stream.name, epoch=stream.epoch)
        self._open = None

    def close_windows(self, closed_ms: int | None) -> None:
        """Leave out the deployments whose last window is closed."""
        self._open = self.load().still_open(closed_ms)
