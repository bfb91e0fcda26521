"""Why figures of the label model are withheld, in plain words."""

from __future__ import annotations

from typing import Final

from tidegauge_probes.label_model.model import LabelModel, LabelModelKind

ADD_GOLD: Final = (
    "Add gold labels: label about 200 records drawn from all traffic, then run `tidegauge baseline "
    "fit stream.yaml --name NAME --records FILE --gold FIELD`."
)

MAJORITY: Final = (
    "Not identified: the LFs agree too little to tell the classes apart. tidegauge shows no class "
    f"shares and no precision, and cannot tell whether an LF has changed. {ADD_GOLD}"
)

VOTES: Final = (
    "Not identified: how often these LFs stay silent does not follow the classes, so their votes "
    "alone do not tell how common a class is. tidegauge shows no class shares and no precision, "
    f"only which LFs have changed since the baseline. {ADD_GOLD}"
)

VOTES_GIVEN: Final = (
    "The class shares at baseline are those you gave. The votes alone do not tell how right each "
    f"LF is, only which one has changed. {ADD_GOLD}"
)

MAJORITY_GIVEN: Final = (
    "The class shares at baseline are those you gave. The LFs agree too little to tell what they "
    f"are now, or how right each LF is. {ADD_GOLD}"
)


def withheld(model: LabelModel) -> str:
    """Return what is not shown of a label model and how to get it; empty if all is shown."""
    if model.levels:
        return ""
    if model.kind is LabelModelKind.MAJORITY:
        return MAJORITY_GIVEN if model.given else MAJORITY
    return VOTES_GIVEN if model.given else VOTES
