"""The whole proof: storms, then a hunt for each mutant; what it found as one JSON object."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import storms
from tests.crash.cluster import ThreeNodes
from tests.crash.faults import KILLS
from tests.crash.hunts import HUNTS, Ground
from tests.crash.mutants import MUTANTS
from tests.crash.scenes import Outcome
from tests.servers.postgres import PostgresServer

FILE_SHARE = 0.2
"""Of the seconds of a run, so many blow over files and SQLite."""

FILE_RATE = 250.0
"""Records/s that the workers read at most: half of what the injected slow commits allow."""

SHOWN = 20


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
        """Whether all is proved."""
        return not self.difference and self.caught == list(HUNTS)

    def result(self) -> dict[str, Any]:
        """Return the object that is printed."""
        blown = list(self.storms.values())
        struck = sum((o.struck for o in blown), Counter[str]())
        return {
            "records": sum(o.records for o in blown),
            "kills": sum(struck[name] for name in KILLS),
            "fenced": sum(o.fenced for o in blown),
            "server_restarts": struck["database_crash"],
            "broker_restarts": struck["broker_kill"],
            "late": sum(o.late for o in blown),
            "dead_letters": sum(o.dead_letters for o in blown),
            "difference": self.difference,
            "mutants_caught": len(self.caught),
            "mutants": {n: dict(o.differences.kinds) for n, o in self.mutants.items()},
            "faults": dict(sorted(struck.items())),
            "windows": sum(o.windows for o in blown),
            "transitions": sum(o.transitions for o in blown),
            "notifications": sum(o.notifications for o in blown),
            "repeated_deliveries": sum(o.repeated for o in blown),
            "delivered_again": sum(o.delivered_again for o in blown),
            "seed": self.seed,
            "seconds": self.seconds,
        }


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


def prove(proof: Proof, rate: float) -> None:
    """Run everything."""
    kafka_s = proof.seconds * (1 - FILE_SHARE)
    with servers() as (cluster, postgres):
        proof.say("servers are up")
        proof.storms["kafka"] = storms.over_kafka(
            proof.folder / "kafka",
            cluster,
            postgres,
            seed=proof.seed,
            seconds=kafka_s,
            rate=rate,
            say=proof.say,
        )
        proof.note("kafka", proof.storms["kafka"])
    proof.storms["files"] = storms.over_files(
        proof.folder / "files",
        seed=proof.seed,
        seconds=proof.seconds * FILE_SHARE,
        rate=FILE_RATE,
        say=proof.say,
    )
    proof.note("files", proof.storms["files"])
    hunt_all(proof)


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
    parser.add_argument("--rate", type=float, default=400, help="records/s into Kafka")
    parser.add_argument("--keep", action="store_true", help="keep the evidence of success, too")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-crash-"))
    proof = Proof(folder, options.seed, options.seconds)
    proof.say(f"evidence in {folder}")
    kept = True
    try:
        prove(proof, options.rate)
        kept = options.keep or not proof.holds
    finally:
        if kept:
            proof.say(f"the evidence is kept in {folder}")
        else:
            shutil.rmtree(folder)
    for outcome in [*proof.storms.values(), *proof.controls.values()]:
        for line in outcome.differences.lines[:SHOWN]:
            proof.say(line)
    for name in HUNTS.keys() - set(proof.caught):
        proof.say(f"mutant {name} was not caught")
    sys.stdout.write(json.dumps(proof.result()) + "\n")
    return 0 if proof.holds else 1
