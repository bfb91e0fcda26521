"""Which partition is which file, now that the files were listed again. Pure but for their bytes.

A partition belongs to the content that was counted under its number, whatever the file is called by
now. Numbers are given once: content that was not known gets a new one, and is read from its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge_service.ingest.sources.files.identity import Fingerprint, FoundFile, Mark
from tidegauge_service.store.ingest.gap import GapCause


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was read, or listed, before."""

    partition: int
    name: str
    format: str
    fingerprint: Fingerprint
    state: str
    gone: bool
    """The file was missing at the last scan."""
    next_offset: int = 0
    end_offset: int | None = None
    drained: bool = False
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """A file of which something was counted, and whose content is not there any more."""

    known: KnownFile
    cause: GapCause

    @property
    def unread(self) -> int:
        """Rows that were never read, as far as is known."""
        return max(0, (self.known.end_offset or 0) - self.known.next_offset)


@dataclass
class CatalogPlan:
    """What becomes of the files."""

    placed: dict[int, FoundFile] = field(default_factory=dict)
    """Partition → its file, which may have been renamed since."""
    added: list[FoundFile] = field(default_factory=list)
    """Files that need a partition number, in the order to assign them."""
    lost: list[Loss] = field(default_factory=list)
    """Losses to report: counted files that can no longer be read on."""
    gone: list[KnownFile] = field(default_factory=list)
    """All missing files; most were read to their end before."""


def settle(known: Sequence[KnownFile], found: Sequence[FoundFile]) -> CatalogPlan:
    """Say which known file each found one is.

    With `a.log` (counted to row 400) known: it has grown: the same partition goes on at 400. It was
    renamed to `a.log.1`: that goes on at 400, and a new `a.log` is new. It was written anew under
    its name: a loss, and the new content is new, too.
    """
    plan = CatalogPlan()
    rest = list(found)
    for places in (_by_its_name, _by_content, _unread):
        rest = places(rest, [k for k in known if k.partition not in plan.placed], plan)
    plan.added = rest
    names = {file.name: file for file in found}
    for before in known:
        if before.partition not in plan.placed and not before.gone:
            plan.gone.append(before)
            plan.lost += _loss(before, names)
    return plan


Files = list[FoundFile]


def _by_its_name(files: Files, known: Sequence[KnownFile], plan: CatalogPlan) -> Files:
    """Place files that are still called what they were; return the rest."""
    named: dict[str, list[KnownFile]] = {}
    for before in sorted(known, key=lambda k: (k.gone, -k.partition)):
        if before.next_offset:
            named.setdefault(before.name, []).append(before)
    return [f for f in files if not _place(f, named.get(f.name, ()), plan)]


def _by_content(files: Files, known: Sequence[KnownFile], plan: CatalogPlan) -> Files:
    """Place files that were renamed; of two alike the one that was read further goes on."""
    read = sorted((k for k in known if k.next_offset), key=lambda k: -k.next_offset)
    return [f for f in files if not _place(f, read, plan)]


def _unread(files: Files, known: Sequence[KnownFile], plan: CatalogPlan) -> Files:
    """Let partitions of which nothing was counted have what is left: it matters to no count."""
    waiting = [k for k in known if not k.next_offset and not k.gone]
    held = [k for k in waiting if k.fingerprint.size]
    rest = [f for f in files if not _place(f, held, plan)]
    named = {k.name: k for k in waiting}
    for file in rest:
        before = named.get(file.name)
        if before and before.format == file.format and before.partition not in plan.placed:
            plan.placed[before.partition] = file
    placed = {file.name for file in plan.placed.values()}
    return [f for f in rest if f.name not in placed]


def _place(file: FoundFile, candidates: Iterable[KnownFile], plan: CatalogPlan) -> bool:
    for known in candidates:
        free = known.partition not in plan.placed and known.format == file.format
        if free and is_same(file, known):
            plan.placed[known.partition] = file
            return True
    return False


def is_same(file: FoundFile, known: KnownFile) -> bool:
    """Whether a file holds what was counted of a known one, and perhaps more."""
    if not file.begins_like(known.fingerprint):
        return False
    if known.mark is None:
        return file.format == "parquet" or known.next_offset == 0
    return (file.name == known.name and file.state == known.state) or file.holds(known.mark)


def is_known(found: Sequence[FoundFile], known: Sequence[KnownFile]) -> bool:
    """Whether one of the files was read before; or none was, so that there are no positions."""
    read = [k for k in known if k.next_offset]
    return not read or any(k.format == f.format and is_same(f, k) for f in found for k in read)


def _loss(known: KnownFile, names: Mapping[str, FoundFile]) -> list[Loss]:
    now = names.get(known.name)
    if now is None:
        read = known.end_offset is not None and known.next_offset >= known.end_offset
        empty = not known.next_offset and not known.fingerprint.size
        return [] if known.drained or read or empty else [Loss(known, GapCause.REMOVED)]
    if not known.next_offset:
        return []
    shorter = known.mark is not None and now.is_shorter(known.mark)
    return [Loss(known, GapCause.TRUNCATED if shorter else GapCause.REWRITTEN)]
