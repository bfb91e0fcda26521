"""By what records are copies of each other: their texts, or all their fields."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from tidegauge_probes.counts import text_keys
from tidegauge_probes.counts.text_keys import Keys
from tidegauge_probes.model import Record
from tidegauge_service.config.stream_file import StreamConfig


def keys_of(config: StreamConfig, records: Sequence[Record]) -> Keys | None:
    """Return the key of each record's text (field `text`), uint64 [n]; None with `copies: ignore`.

    A record without one is a copy only of a record whose fields are all the same: of numbers and
    codes nobody can say which of them matter.
    """
    if config.copies == "ignore":
        return None
    stream = config.name
    texts = [record.fields.get("text") for record in records]
    if all(isinstance(text, str) for text in texts):
        return text_keys.of_texts(texts, stream)  # type: ignore[arg-type]
    with_text = np.array([isinstance(text, str) for text in texts], dtype=np.bool_)
    keys = np.empty(len(records), dtype=np.uint64)
    keys[with_text] = text_keys.of_texts((t for t in texts if isinstance(t, str)), stream)
    rest = (records[row] for row in np.flatnonzero(~with_text).tolist())
    contents = (msgspec.json.encode(r.fields, enc_hook=str, order="deterministic") for r in rest)
    keys[~with_text] = text_keys.of_contents(contents, stream)
    return keys
