"""What is installed can be listed and written out, for Grafana and Prometheus to read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import yaml

import tidegauge_dashboards
from tests.dashboards.queries import dashboards

SHIPPED = (
    "json/tidegauge-coverage.json",
    "provisioning/dashboards/tidegauge.yaml",
    "provisioning/datasources/tidegauge.yaml",
    "rules/tidegauge.rules.yml",
)


def test_files_lists_what_is_shipped() -> None:
    assert [str(path) for path in tidegauge_dashboards.files()] == list(SHIPPED)


def test_export_writes_every_file_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = tidegauge_dashboards.export(folder)
    assert written == [folder / name for name in SHIPPED]
    for name in SHIPPED:
        shipped = tidegauge_dashboards.read(PurePosixPath(name))
        assert (folder / name).read_text(encoding="utf-8") == shipped


def test_export_again_replaces_old_files(tmp_path: Path) -> None:
    first = tidegauge_dashboards.export(tmp_path)
    first[0].write_text("old")
    tidegauge_dashboards.export(tmp_path)
    assert first[0].read_text(encoding="utf-8") != "old"


def test_the_data_source_is_fixed_and_made_for_long_queries() -> None:
    text = tidegauge_dashboards.read(PurePosixPath("provisioning/datasources/tidegauge.yaml"))
    (source,) = yaml.safe_load(text)["datasources"]
    assert (source["type"], source["uid"]) == ("prometheus", "tidegauge-prometheus")
    assert source["jsonData"]["httpMethod"] == "POST"
    assert source["jsonData"]["timeInterval"] == "15s"


def test_provisioned_dashboards_cannot_be_edited_into_something_else() -> None:
    text = tidegauge_dashboards.read(PurePosixPath("provisioning/dashboards/tidegauge.yaml"))
    (provider,) = yaml.safe_load(text)["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False


def test_there_are_dashboards() -> None:
    assert set(dashboards()) == {"tidegauge-coverage.json"}
