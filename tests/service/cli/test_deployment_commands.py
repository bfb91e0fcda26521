"""`tidegauge probes deploy` and its like, and the same by HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.service import oracle
from tests.service.group import NOW
from tests.service.redeployed import ALL, FEWER, ONE, SOMEBODY, Redeployed, only
from tests.service.streams_for_tests import (
    HOUR,
    PROBES,
    START,
    record,
    write_jsonl,
    write_stream,
)
from tests.service.transactions import read, write
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.api.app import create_app
from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.api.context import ApiContext
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.deployments import changes
from tidegauge_service.errors import ChangeRefused
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import take_snapshot
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit

MODULE = """
from tidegauge_probes import ProbeSet, labeling_function

@labeling_function()
def mentions_free(x):
    return {vote} if "free" in x.text else -1

LFS = ProbeSet.of([mentions_free], classes=["HAM", "SPAM"])
"""


@pytest.fixture
def group(tmp_path: Path, sqlite_database: Database) -> Redeployed:
    """Give a stream of eight hours, six of them read and five closed."""
    found = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 48), limits={"commit_records": 6})
    member = found.member()
    while found.partitions()[0].next_offset < 36:
        member.worker.step()
    write(sqlite_database, commit.close_windows, found.stream)
    return found


@pytest.fixture
def database(group: Redeployed, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Let commands find the group's database."""
    monkeypatch.setenv("TIDEGAUGE_DATABASE", group.database.url.render_as_string())
    return group.database


def run(*arguments: str | Path) -> str:
    """Run a command that succeeds; return what it printed."""
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def run_json(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return found


def refused(*arguments: str | Path) -> str:
    """Run a command that fails with one of our errors; return its words."""
    with pytest.raises(TidegaugeError) as caught:
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert getattr(caught.value, "exit_code", 2) == 2
    return str(caught.value)


def fitted(group: Redeployed, folder: Path, which: int, name: str) -> None:
    """Fit a baseline for a deployment, by command, from its file of training records."""
    file = folder / f"other_{which}.yaml"
    text = (folder / "stream.yaml").read_text()
    file.write_text(text.replace("probes.yaml", f"probes_{which}.yaml"))
    (folder / "training.jsonl").write_bytes(b"".join(v + b"\n" for v in group.topic[0]))
    run("baseline", "fit", file, "--name", name, "--records", folder / "training.jsonl")


def test_a_rollback_to_the_shadow_says_that_the_shadow_ends(
    group: Redeployed, database: Database, tmp_path: Path
) -> None:
    """A ProbeSet that is live is no shadow beside itself."""
    del database
    fitted(group, tmp_path, 1, "mine")
    stream = tmp_path / "stream.yaml"
    run("probes", "deploy", stream, "probes_1.yaml", "--baseline", "mine")
    group.member().to_end()
    fitted(group, tmp_path, 0, "first")
    run("probes", "shadow", stream, "probes_0.yaml", "--baseline", "first")

    said = run("probes", "rollback", "test")
    assert "The shadow deployment of this ProbeSet ends there" in said


# -- Commands -------------------------------------------------------------------------------------


def test_a_file_is_deployed_with_a_baseline_of_its_own(
    group: Redeployed, database: Database, tmp_path: Path
) -> None:
    del database
    fitted(group, tmp_path, 1, "mine")
    said = run_json(
        "probes", "deploy", tmp_path / "stream.yaml", "probes_1.yaml", "--baseline", "mine",
        "--by", "ann",
    )  # fmt: skip
    assert (said["role"], said["probe_set"]) == ("live", group.sets[1].id)
    assert (said["from_ms"], said["created_by"]) == (START + 6 * HOUR, "ann")
    listed = run_json("probes", "list", "test")["deployments"]
    assert [(d["probe_set"], d["made_as"]) for d in listed] == [
        (group.sets[1].id, "deploy"),
        (group.sets[0].id, "first"),
    ]
    assert (listed[1]["ended_by"], listed[1]["until_ms"]) == ("ann", START + 6 * HOUR)
    group.member().to_end()
    group.assert_whole()
    back = run("probes", "rollback", tmp_path / "stream.yaml")
    assert back.startswith(
        f"ProbeSet {group.sets[0].id} is now live for 'test', starting with the window at "
    )
    table = run("probes", "list", "test")
    assert [line.split()[1] for line in table.splitlines() if "live" in line] == [
        group.sets[0].id,
        group.sets[1].id,
        group.sets[0].id,
    ]
    assert max(map(len, table.splitlines())) <= 80
    for whole in (to_iso(START + 6 * HOUR), listed[0]["baseline"], "ann (deploy)"):
        assert whole in table, "ids and times are for copying"


def test_the_stream_files_own_probes_are_deployed_once_they_are_edited(
    group: Redeployed, database: Database, tmp_path: Path
) -> None:
    """In place, even: templates are kept in the database, so that the old ones go on."""
    del database
    fitted(group, tmp_path, 2, "mine")
    (tmp_path / "probes.yaml").write_text(yaml.safe_dump(only(ONE)))
    run("probes", "deploy", tmp_path / "stream.yaml", "--baseline", "mine")
    group.member().to_end()
    group.assert_whole()
    assert {probe_set for _, _, probe_set in group.panes()} == {
        group.sets[0].id,
        group.sets[2].id,
    }


def test_a_shadow_is_compared_and_promoted(
    group: Redeployed, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "stream.yaml"
    assert "has no shadow deployment" in refused("probes", "diff", "--stream", file)
    said = run_json("probes", "shadow", file, "probes_1.yaml")
    assert (said["role"], said["baseline"]) == ("shadow", None)
    assert "no closed window was counted by both" in run("probes", "diff", "--stream", "test")
    group.member().to_end()
    write(database, commit.close_windows, group.stream)
    text = run("probes", "diff", "--stream", "test")
    assert f"ProbeSet {group.sets[0].id} → {group.sets[1].id}\nLF - thanks\n" in text
    assert "in 2 windows counted by both, 12 records:" in text
    facts = run_json("probes", "diff", "live", "shadow", "--stream", "test")
    assert facts["probes"] == {"added": [], "removed": ["thanks"], "renamed": [], "changed": []}
    assert facts["counted"]["before"]["records"] == 12
    made = run_json("probes", "promote", "test")
    assert (made["made_as"], made["probe_set"]) == ("promote", group.sets[1].id)
    assert made["baseline"]
    assert "there is no shadow" in refused("probes", "end-shadow", "test")


def test_a_shadow_is_ended(group: Redeployed, database: Database, tmp_path: Path) -> None:
    del database
    began = run("probes", "shadow", tmp_path / "stream.yaml", "probes_1.yaml")
    assert f"{group.sets[1].id} is now the shadow of 'test', starting with the window at" in began
    said = run("probes", "end-shadow", "test")
    assert said == f"ProbeSet {group.sets[1].id} stops counting at 2020-09-13T18:00:00Z\n"


def test_what_cannot_count_is_refused_and_nothing_is_changed(
    group: Redeployed, database: Database, tmp_path: Path
) -> None:
    """No file, no ProbeSet, no baseline, a baseline of others, a rule that it does not fit."""
    del database
    before = group.known()
    file = tmp_path / "stream.yaml"
    assert "cannot read the ProbeSet" in refused("probes", "deploy", file, "nowhere.yaml")
    (tmp_path / "broken.yaml").write_text("classes: [A]")
    assert "broken.yaml is not valid" in refused("probes", "shadow", file, "broken.yaml")
    assert "cannot import 'nobody'" in refused("probes", "deploy", file, "nobody:LFS")
    assert "counts only windows from 2020-09-13T18" in refused(
        "probes", "deploy", file, "probes_1.yaml"
    )
    fitted(group, tmp_path, 2, "of others")
    assert "belongs to ProbeSet" in refused(
        "probes", "deploy", file, "probes_1.yaml", "--baseline", "of others"
    )
    assert f"compared with ProbeSet {group.sets[1].id}" in refused(
        "probes", "deploy", file, "probes_1.yaml", "--baseline", "of others"
    )
    write_stream(tmp_path, alerts={"rules": ["coverage of thanks below 1 %"]})
    assert "no LF 'thanks'" in refused("probes", "shadow", file, "probes_1.yaml")
    assert "is live, so it already counts" in refused("probes", "shadow", file)
    write_stream(tmp_path, name="another")
    assert "there is no stream 'another'" in refused("probes", "deploy", file)
    assert group.known() == before


def test_python_that_takes_the_file_of_the_deployment_before_is_refused(
    tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that start again need both: until the last window of the old one is closed."""
    monkeypatch.setenv("TIDEGAUGE_DATABASE", sqlite_database.url.render_as_string())
    file = tmp_path / "redeployed_lfs.py"
    file.write_text(MODULE.format(vote=1))
    group = Python(tmp_path, sqlite_database)
    file.write_text(MODULE.format(vote=0))
    del sys.modules["redeployed_lfs"]  # as in the process of a command
    said = refused("probes", "shadow", tmp_path / "stream.yaml")
    assert f"counts windows with ProbeSet {group.probe_set.id}" in said
    assert "redeployed_lfs.py (redeployed_lfs:LFS)" in said
    assert "keep the new LFs in a file of their own" in said
    file.write_text(MODULE.format(vote=1))
    del sys.modules["redeployed_lfs"]
    (tmp_path / "redeployed_lfs_2.py").write_text(MODULE.format(vote=0))
    run("probes", "shadow", tmp_path / "stream.yaml", "redeployed_lfs_2:LFS")


class Python(Redeployed):
    """A stream whose LFs are in a module."""

    def __init__(
        self, folder: Path, database: Database, topic: list[list[bytes]] | None = None
    ) -> None:
        super().__init__(folder, database, topic or [[]], probes="redeployed_lfs:LFS")


@pytest.mark.parametrize("drained", [True, False])
def test_python_edited_in_place_is_deployed_if_the_windows_of_the_old_are_closed(
    tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, *, drained: bool
) -> None:
    """And `run` names a command that will work, whichever of the two it is."""
    monkeypatch.setenv("TIDEGAUGE_DATABASE", sqlite_database.url.render_as_string())
    module, file = tmp_path / "redeployed_lfs.py", tmp_path / "stream.yaml"
    module.write_text(MODULE.format(vote=1))
    group = Python(tmp_path, sqlite_database, oracle.topic(1, 24))
    if drained:
        group.member().to_end()
        write(sqlite_database, commit.close_windows, group.stream)
    else:
        member = group.member()
        while not group.partitions()[0].next_offset:
            member.worker.step()
    module.write_text(MODULE.format(vote=0))
    del sys.modules["redeployed_lfs"]
    write_jsonl(tmp_path / "records.jsonl", [record(0, "free")])
    advice = refused("replay", file, "--database", str(group.database.url))
    deploy = ("probes", "deploy", file)
    first = {"from": to_iso(START + 100 * HOUR), "until": to_iso(START + 101 * HOUR)}
    write_stream(tmp_path, probes="redeployed_lfs:LFS", baseline=first, segment_by=["country"])
    if drained:
        assert "To use it from the next new window on: `tidegauge probes deploy" in advice
        assert "shadow" not in advice, "the live one, which is gone, would have to count beside it"
        said = run(*deploy)
        assert "is now live" in said
        assert "restart `tidegauge run`, or run it with --drain" in said
        assert "next batch" not in said, "a file that has ended has none"
        assert group.known()[-1].from_ms == group.cursor("closed")
        return
    assert "Restore the old LFs there, and move the new ones to a module of their own" in advice
    said = refused(*deploy)
    assert "keep the new LFs in a file of their own" in said
    assert "give the stream a new `name`" in said
    assert "in memory" not in said, "this process has just read the files"


def test_a_record_that_comes_while_the_old_lfs_are_replaced_refuses_the_deployment(
    tmp_path: Path, sqlite_database: Database
) -> None:
    (tmp_path / "redeployed_lfs.py").write_text(MODULE.format(vote=1))
    group = Python(tmp_path, sqlite_database, oracle.topic(1, 24))
    group.member().to_end()
    wanted = replace(group.wanted(1), only_from_ms=START)
    with pytest.raises(ChangeRefused, match="try again"):
        changes.deploy(sqlite_database, group.stream, wanted, SOMEBODY)


def test_probe_sets_that_were_never_deployed_are_compared_too(
    group: Redeployed, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    monkeypatch.chdir(tmp_path)
    other = dict(only(FEWER))
    other["probes"] = [{**other["probes"][0], "label": "HAM"}, *other["probes"][1:]]
    Path("other.yaml").write_text(yaml.safe_dump(other))
    text = run("probes", "diff", group.sets[0].id, "other.yaml")
    assert text.splitlines()[1:] == ["LF - thanks", "LF mentions_free: different label"]
    assert "no difference" in run("probes", "diff", "probes.yaml", "probes_0.yaml")
    assert "was never deployed" in refused("probes", "diff", "0123456789abcdef", "other.yaml")
    assert "'live' needs a stream" in refused("probes", "diff", "live", "other.yaml")


# -- HTTP -----------------------------------------------------------------------------------------

DEPLOYMENTS = "/api/v1/streams/test/deployments"


@pytest.fixture
def client(group: Redeployed) -> Iterator[TestClient]:
    """Give the API over the group's database."""
    figures = Collector(lambda: read(group.database, take_snapshot, NOW)).registry
    context = ApiContext(group.database, lambda: NOW, TokenAuth("secret"), figures, lambda: None)
    with TestClient(create_app(context), headers={"Authorization": "Bearer secret"}) as client:
        yield client


def posted(
    client: TestClient, status: int, path: str = DEPLOYMENTS, **body: Any
) -> Mapping[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


def listed(client: TestClient) -> list[tuple[str, str, str | None]]:
    items = client.get(DEPLOYMENTS).json()["items"]
    return [(item["role"], item["made_as"], item["from"]) for item in items]


def test_deployments_are_listed(group: Redeployed, client: TestClient) -> None:
    group.deploy(1)
    second, first = client.get(DEPLOYMENTS).json()["items"]
    assert (first["from"], first["until"]) == (None, to_iso(START + 6 * HOUR))
    assert second == {
        "probe_set": group.sets[1].id,
        "role": "live",
        "from": to_iso(START + 6 * HOUR),
        "until": None,
        "baseline": "some-baseline-1",
        "reference": "probes_1.yaml",
        "made_as": "deploy",
        "created": to_iso(NOW),
        "created_by": "somebody",
        "ended": None,
        "ended_by": None,
    }
    assert client.get("/api/v1/streams/nobody/deployments").status_code == 404


def test_templates_are_sent_shadowed_compared_and_promoted(
    group: Redeployed, client: TestClient
) -> None:
    said = posted(client, 201, role="shadow", probes=only(FEWER))
    assert said["probe_set"] == group.sets[1].id
    assert (said["from"], said["created_by"]) == (to_iso(START + 6 * HOUR), "api")
    group.member().to_end()
    write(group.database, commit.close_windows, group.stream)
    group.assert_whole()
    found = client.get(f"{DEPLOYMENTS}/diff").json()
    assert (found["before"], found["after"]) == (group.sets[0].id, group.sets[1].id)
    assert found["probes"]["removed"] == ["thanks"]
    assert (found["windows"], found["counted_after"]["records"]) == (2, 12)
    windows = client.get(f"{DEPLOYMENTS}/shadow/windows", params={"limit": 1}).json()
    assert [w["start"] for w in windows["items"]] == [to_iso(START + 6 * HOUR)]
    assert [lf["probe"] for lf in windows["items"][0]["lfs"]] == list(FEWER)
    rest = client.get(f"{DEPLOYMENTS}/shadow/windows", params={"cursor": windows["next"]}).json()
    assert [w["records"] for w in rest["items"]] == [6]
    assert rest["next"] is None
    made = posted(client, 201, f"{DEPLOYMENTS}/promote")
    assert (made["role"], made["made_as"]) == ("live", "promote")
    assert posted(client, 201, f"{DEPLOYMENTS}/rollback")["probe_set"] == group.sets[0].id
    assert [row[:2] for row in listed(client)] == [
        ("live", "rollback"),
        ("live", "promote"),
        ("shadow", "shadow"),
        ("live", "first"),
    ]


def test_a_deployment_that_is_known_is_deployed_by_its_id(
    group: Redeployed, client: TestClient
) -> None:
    group.shadow(1)
    assert client.delete(f"{DEPLOYMENTS}/shadow").json()["ended_by"] == "api"
    assert posted(client, 201, role="shadow", probe_set=group.sets[1].id)["role"] == "shadow"
    unknown = posted(client, 404, role="live", probe_set=group.sets[2].id)
    assert unknown["code"] == "unknown_deployment"


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        ({"python": "os:system"}, "cannot be deployed over the API"),
        ({"name": "a", "label": "SPAM", "lookup": {"file": "/etc/passwd"}}, "list its `values`"),
        (
            {"name": "a", "label": "SPAM", "not": {"any": [{"lookup": {"file": "x"}}]}},
            "list its `values`",
        ),
        ({"name": "a", "label": "SPAM", "keyword": {"any": []}}, "not valid"),
        ({"name": "a", "label": "EGGS", "keyword": {"any": ["x"]}}, "unknown label"),
        ({"name": "a", "label": "SPAM", "regex": {"pattern": "("}}, "pattern"),
    ],
)
def test_what_is_sent_neither_imports_nor_reads(
    group: Redeployed, client: TestClient, probe: dict[str, Any], says: str
) -> None:
    before = group.known()
    said = posted(client, 422, role="shadow", probes=PROBES | {"probes": [probe]})
    assert said["code"] == "invalid_probes"
    assert says in said["detail"]
    assert group.known() == before


def test_what_is_refused_is_a_conflict(group: Redeployed, client: TestClient) -> None:
    before = group.known()
    live = posted(client, 409, role="shadow", probes=only(ALL))
    assert "is live, so it already counts" in live["detail"]
    assert "no baseline" in posted(client, 409, role="live", probes=only(ONE))["detail"]
    none = posted(client, 409, role="live", probes=only(ONE), baseline="none")
    assert "there is no baseline 'none'" in none["detail"]
    assert "no shadow" in posted(client, 409, f"{DEPLOYMENTS}/promote")["detail"]
    assert "no other deployment" in posted(client, 409, f"{DEPLOYMENTS}/rollback")["detail"]
    assert client.delete(f"{DEPLOYMENTS}/shadow").status_code == 409
    assert client.get(f"{DEPLOYMENTS}/diff").json()["code"] == "unknown_deployment"
    for body in ({"role": "live"}, {"role": "boss", "probes": {}}, {"role": "live", "more": 1}):
        assert posted(client, 422, **body)["code"] == "invalid_parameter"
    assert group.known() == before


def test_changes_need_the_token(group: Redeployed, client: TestClient) -> None:
    for path in (DEPLOYMENTS, f"{DEPLOYMENTS}/promote", f"{DEPLOYMENTS}/rollback"):
        assert client.post(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert [type(d) for d in group.known()] == [Deployment]


def test_a_reference_is_relative_to_the_stream_file(
    group: Redeployed, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command is typed: workers elsewhere must find it."""
    del group, database
    monkeypatch.chdir(tmp_path.parent)
    named = f"{tmp_path.name}/probes_1.yaml"
    said = refused("probes", "shadow", tmp_path / "stream.yaml", named)
    assert "name it relative to the stream file" in said
    assert said.endswith(": probes_1.yaml")


def test_windows_to_accept_must_not_be_in_the_wrong_order(
    group: Redeployed, database: Database
) -> None:
    del group, database
    since, until = "2020-09-13T14:00:00Z", "2020-09-13T13:00:00Z"
    said = refused("baseline", "accept", "test", "--from", since, "--until", until)
    assert f"from ({since}) must be before until ({until})" in said
