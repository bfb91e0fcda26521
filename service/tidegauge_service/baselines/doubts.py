"""What suggests that a baseline was fitted from the wrong data, in plain words."""

from __future__ import annotations

from tidegauge_probes.counts.analysis import lf_coverages, lf_errors
from tidegauge_probes.drift.baseline import Baseline


def doubts(baseline: Baseline) -> list[str]:
    """Return a sentence for each thing to check before the baseline is used."""
    rejected = baseline.source.get("rejected", 0)
    said = []
    if isinstance(rejected, int) and rejected:
        inputs = baseline.total.records + rejected
        said.append(f"{rejected} of {inputs} inputs cannot be read as records")
    names = baseline.plan.layout.probes
    shares = zip(names, lf_coverages(baseline.total), lf_errors(baseline.total), strict=True)
    for name, coverage, errors in shares:
        if errors:
            said.append(f"LF {name} fails on {errors:.1%} of the records")
        if not coverage and errors < 1:
            said.append(f"LF {name} never votes on these records")
    missing = baseline.source.get("gold_missing")
    if isinstance(missing, list):
        said.append(
            f"no gold label of class {', '.join(missing)}: the class shares and precisions assume "
            "that such records are rare. Draw the records that you label from all traffic"
        )
    return said
