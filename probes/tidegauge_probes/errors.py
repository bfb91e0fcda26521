"""The root of tidegauge's error tree, and the part of it that concerns probes.

::

    TidegaugeError
    ├── ProbeError          a labeling function, template or ProbeSet is wrong
    │   └── MissingExtraError   a package is not installed (an ImportError, too)
    ├── DocumentError       a YAML or JSON document cannot be read
    ├── CountsError         a stored pane cannot be read
    ├── BaselineError       a baseline is empty, foreign or unreadable
    ├── BudgetError         a budget of false alarms cannot be read
    ├── DeliveryError       (tidegauge_alerts) a message could not be delivered
    └── SettingsError, SourceError, StoreError …   (tidegauge_service.errors)

Each message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TidegaugeError(Exception):
    """Base class of every error that tidegauge raises on purpose."""


class ProbeError(TidegaugeError):
    """A labeling function, template, preprocessor or ProbeSet is defined wrongly."""


class DocumentError(TidegaugeError):
    """A YAML or JSON document cannot be read: its syntax, a key given twice, its size."""


class MissingExtraError(ProbeError, ImportError):
    """A package is not installed that only an extra of ``tidegauge-probes`` brings."""


class CountsError(TidegaugeError):
    """Encoded counts are broken, foreign, or do not fit the counts they meet."""


class BaselineError(TidegaugeError):
    """A baseline is empty, belongs to another ProbeSet, or cannot be read."""


class BudgetError(TidegaugeError):
    """A budget of false alarms is not written as ``1 per quarter``."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to *word*, else a list.

    >>> nearest("lable", ["label", "name"])
    "; did you mean 'label'?"
    """
    options = sorted(set(known))
    close = difflib.get_close_matches(word, options, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(options)}" if options else ""
