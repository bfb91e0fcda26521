"""Windows to come, as the baseline expects them: its own volumes and cycles, once more.

A shift is put into them by its ratio, and the live scan is asked whether it would be found. Counts
are the expected ones, which need not be whole: half of all real counts lie above them, so what is
found here is found half of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.scales import LONGEST
from tidegauge_probes.drift.scan import Past, Scanned, scan
from tidegauge_probes.drift.season import DAY_MS
from tidegauge_probes.drift.significance import worth_a_page

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WEEK_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, eq=False)
class Future:
    """Windows after a shift, and the quiet ones that the scan still sums, the oldest first.

    ``starts``: int64 [W], epoch ms; ``n`` and ``share``, what to expect of it: float64 [W, S].
    ``quiet``: how many windows precede the shift. ``threshold``: what the adjusted p-value of a
    series must not exceed for it to be reported if it shifts alone, [S].
    """

    starts: Ints
    n: Floats
    share: Floats
    quiet: int
    threshold: Floats
    calibration: Calibration

    @classmethod
    def of(cls, baseline: Baseline, alpha: float, onset: int) -> Future:
        """Return LONGEST windows like those of the baseline from the *onset*-th on, shifted or not.

        *alpha*: the detector's. The baseline has windows.
        """
        rows = np.arange(onset - LONGEST + 1, onset + LONGEST)
        starts, n = _repeated(baseline, rows)
        # Each series shifts alone, so that nothing of a pair is explained by its LFs.
        calibration = baseline.calibration.select(np.arange(len(baseline.keys)))
        share = np.asarray(calibration.expected(starts))
        return cls(
            starts,
            n,
            share,
            LONGEST - 1,
            _threshold(baseline, alpha, starts, n, share),
            calibration,
        )

    def select(self, series: Ints) -> Future:
        """Return some series of the same, in this order; one may come twice."""
        return Future(
            self.starts,
            self.n[:, series],
            self.share[:, series],
            self.quiet,
            self.threshold[series],
            self.calibration.select(series),
        )

    def scanned(self, ratio: Floats, windows: int) -> Scanned:
        """Scan the *windows*-th window after the shift, where shares are *ratio* times as large."""
        now = self.quiet + windows
        share = self.share[:now].copy()
        share[self.quiet :] = np.minimum(share[self.quiet :] * ratio, 1.0)
        return _scan(self.starts[:now], self.n[:now] * share, self.n[:now], self.calibration)

    def found(self, ratio: Floats, windows: int) -> Mask:
        """Mark the series whose shift is reported in that window, [S]."""
        seen = self.scanned(ratio, windows)
        worth = worth_a_page(seen, self.calibration)
        return np.asarray(worth & (seen.adjusted <= self.threshold))


def _threshold(baseline: Baseline, alpha: float, starts: Ints, n: Floats, share: Floats) -> Floats:
    """Return the level at which Benjamini–Hochberg rejects one series of those that are tested."""
    quiet = _scan(starts[:LONGEST], (n * share)[:LONGEST], n[:LONGEST], baseline.calibration)
    tested = int((quiet.enough & (n[LONGEST - 1] > 0)).sum())
    return np.asarray(alpha * baseline.weights / max(tested, 1))


def _scan(starts: Ints, x: Floats, n: Floats, calibration: Calibration) -> Scanned:
    """Scan the last of some windows. The scan computes with reals whatever it is given."""
    series = n.shape[1]
    x_, n_ = cast("Ints", x), cast("Ints", n)
    past = Past(starts[:-1], x_[:-1], n_[:-1], Past.none(series).since)
    return scan(int(starts[-1]), x_[-1], n_[-1], past, calibration)


def _repeated(baseline: Baseline, rows: Ints) -> tuple[Ints, Floats]:
    """Return starts and volumes of the baseline's windows, which come again after whole weeks."""
    starts, windows = baseline.starts, len(baseline.starts)
    step = max(WEEK_MS, baseline.window_ms)
    span = int(starts[-1] - starts[0]) + baseline.window_ms
    again, row = np.divmod(rows, windows)
    return starts[row] + again * (-(-span // step) * step), baseline.n[row].astype(np.float64)
