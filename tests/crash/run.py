"""The whole proof: storms, then a hunt for each mutant; what it found as one JSON object."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import storms
from tests.crash.cluster import ThreeNodes
from tests.crash.faults import KILLS
from tests.crash.hunts import HUNTS, Ground
from tests.crash.judge import ALERT_KINDS
from tests.crash.mutants import MUTANTS
from tests.crash.scenes import Outcome
from tests.servers.postgres import PostgresServer

SHARES = {"kafka": 0.7, "files": 0.15, "events": 0.15}
"""Of the seconds of a run, so many go to each storm."""

RATES = {"kafka": 400.0, "files": 250.0, "events": 200.0}
"""Records/s. Over files it is the most, and half of what the injected slowness allows."""

HUNTING = "mutants"
"""The part that hunts them, by the name it is chosen by."""

SHOWN = 20
"""Lines of differences that are told of each scene."""


@dataclass
class Proof:
    """What a run has found."""

    folder: Path
    seed: int
    seconds: float
    began: float = field(default_factory=time.monotonic)
    storms: dict[str, Outcome] = field(default_factory=dict)
    controls: dict[str, Outcome] = field(default_factory=dict)
    mutants: dict[str, Outcome] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """Tell the progress."""
        sys.stderr.write(f"{time.monotonic() - self.began:8.1f} s  {line}\n")
        sys.stderr.flush()

    def note(self, what: str, outcome: Outcome) -> None:
        """Tell and keep what differs."""
        found = outcome.differences
        self.say(f"{what}: {outcome.records} records, difference {len(found)} {dict(found.kinds)}")
        if found.lines:
            (self.folder / f"{what}.differences").write_text("\n".join(found.lines) + "\n")

    @property
    def difference(self) -> int:
        """How many records, cells and rows disagree, where no mutant ran."""
        return sum(len(o.differences) for o in [*self.storms.values(), *self.controls.values()])

    @property
    def caught(self) -> list[str]:
        """The mutants that were found out."""
        return [
            name
            for name, outcome in self.mutants.items()
            if outcome.differences.kinds.keys() & MUTANTS[name].kinds
        ]

    @property
    def holds(self) -> bool:
        """Whether all that was tried is proved."""
        return not self.difference and self.caught == list(self.mutants)

    def result(self) -> dict[str, Any]:
        """Return the object that is printed."""
        blown = list(self.storms.values())
        struck = sum((o.struck for o in blown), Counter[str]())
        return {
            **figures(blown),
            "server_restarts": struck["database_crash"],
            "broker_restarts": struck["broker_kill"],
            "difference": self.difference,
            "alerts_difference": sum(
                o.differences.kinds[kind]
                for o in [*blown, *self.controls.values()]
                for kind in ALERT_KINDS
            ),
            "mutants_caught": len(self.caught),
            "mutants": {n: dict(o.differences.kinds) for n, o in self.mutants.items()},
            "faults": dict(sorted(struck.items())),
            "scenes": {
                name: figures([o]) | {"difference": len(o.differences)}
                for name, o in self.storms.items()
            },
            "seed": self.seed,
            "seconds": round(time.monotonic() - self.began, 1),
        }


def figures(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return what storms have seen, added up."""
    names = ["records", "fenced", "late", "dead_letters", "windows", "transitions"]
    names += ["notifications", "repeated", "delivered_again"]
    kills = sum(o.struck[name] for o in outcomes for name in KILLS)
    return {"kills": kills} | {n: sum(getattr(o, n) for o in outcomes) for n in names}


@contextmanager
def servers() -> Iterator[tuple[ThreeNodes, PostgresServer]]:
    """Start Apache Kafka and PostgreSQL, with commits that survive a crash."""
    cluster, postgres = ThreeNodes(), PostgresServer(durable=True)
    try:
        postgres.start()
        cluster.start()
        yield cluster, postgres
    finally:
        postgres.close()
        cluster.close()


def prove(proof: Proof, parts: Collection[str]) -> None:
    """Run the storms and the hunts that are asked for."""
    for name, storm in STORMS.items():
        if name in parts:
            proof.say(f"a storm over {name}")
            share = SHARES[name] / sum(SHARES[n] for n in SHARES.keys() & parts)
            proof.storms[name] = storm(proof, proof.seconds * share)
            proof.note(name, proof.storms[name])
    if HUNTING in parts:
        hunt_all(proof)


def _over_kafka(proof: Proof, seconds: float) -> Outcome:
    with servers() as (cluster, postgres):
        return storms.over_kafka(
            proof.folder / "kafka",
            cluster,
            postgres,
            seed=proof.seed,
            seconds=seconds,
            rate=RATES["kafka"],
            say=proof.say,
        )


def _over_files(proof: Proof, seconds: float) -> Outcome:
    return storms.over_files(
        proof.folder / "files",
        seed=proof.seed,
        seconds=seconds,
        rate=RATES["files"],
        say=proof.say,
    )


def _over_events(proof: Proof, seconds: float) -> Outcome:
    return storms.over_events(
        proof.folder / "events",
        seed=proof.seed,
        seconds=seconds,
        rate=RATES["events"],
        say=proof.say,
    )


STORMS = {"kafka": _over_kafka, "files": _over_files, "events": _over_events}


def hunt_all(proof: Proof) -> None:
    """Hunt each mutant, after a control of the same scene without it."""
    postgres = PostgresServer()
    try:
        postgres.start()
        for name, hunt in HUNTS.items():
            if hunt.__name__ not in proof.controls:
                ground = Ground(proof.folder / f"control-{name}", proof.seed, postgres, proof.say)
                proof.controls[hunt.__name__] = hunt(ground, {})
                proof.note(f"control of {name}", proof.controls[hunt.__name__])
            ground = Ground(proof.folder / name, proof.seed, postgres, proof.say)
            proof.mutants[name] = hunt(ground, {"mutant": name})
            proof.note(f"mutant {name}", proof.mutants[name])
    finally:
        postgres.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the result, and keep the evidence if the proof fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long the storms blow")
    parser.add_argument("--seed", type=int, default=1, help="of traffic and schedule")
    parts = [*STORMS, HUNTING]
    parser.add_argument("--only", choices=parts, nargs="+", default=parts, help="parts of it")
    parser.add_argument("--keep", action="store_true", help="keep the evidence of success, too")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-crash-"))
    proof = Proof(folder, options.seed, options.seconds)
    proof.say(f"evidence in {folder}")
    kept = True
    try:
        prove(proof, options.only)
        kept = options.keep or not proof.holds
    finally:
        if kept:
            proof.say(f"the evidence is kept in {folder}")
        else:
            shutil.rmtree(folder)
    for outcome in [*proof.storms.values(), *proof.controls.values()]:
        for line in outcome.differences.lines[:SHOWN]:
            proof.say(line)
    for name in proof.mutants.keys() - set(proof.caught):
        proof.say(f"mutant {name} was not caught")
    sys.stdout.write(json.dumps(proof.result()) + "\n")
    return 0 if proof.holds else 1
