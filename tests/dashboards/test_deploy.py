"""The compose file fits together: images are pinned, what it mounts exists, what it names is there.

Docker itself is not needed.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import tidegauge_dashboards
from tests.servers.prometheus import INSTALL, promtool
from tests.servers.required import require_program

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")

each_service = pytest.mark.parametrize("name", SERVICES)


def defaulted(text: str) -> str:
    """Fill in the defaults of variables."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "given", text)


def mounts(name: str) -> list[tuple[str, str]]:
    """Return source and target of each volume of a service."""
    parts = [defaulted(volume).split(":") for volume in SERVICES[name].get("volumes", ())]
    return [(part[0], part[1]) for part in parts]


def example_environment() -> dict[str, str]:
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_everything_that_is_needed_is_there() -> None:
    wanted = {"kafka", "postgres", "tidegauge", "prometheus", "alertmanager", "grafana"}
    assert wanted <= set(SERVICES)


@each_service
def test_images_are_pinned_by_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-\w+)?", tag)


@each_service
def test_services_have_health_checks(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name == "migrate":  # It ends.
        assert check == {"disable": True}
    else:
        assert check["test"][0] == "CMD"


@each_service
def test_what_is_mounted_exists(name: str) -> None:
    for source, _ in mounts(name):
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


@each_service
def test_dependencies_exist_and_can_be_met(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        ends = wanted["condition"] == "service_completed_successfully"
        assert ends == (other == "migrate")
        assert other in SERVICES


@each_service
def test_ports_are_open_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@each_service
def test_secrets_come_from_the_environment(name: str) -> None:
    for secret in SERVICES[name].get("secrets", ()):
        assert set(COMPOSE["secrets"][secret]) == {"environment"}
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN", key):
            assert value.startswith(("${", "/run/secrets/")), key


def test_the_example_environment_names_every_variable_and_no_secret() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = {found[1] for found in VARIABLE.finditer(text)}
    used |= {secret["environment"] for secret in COMPOSE["secrets"].values()}
    given = example_environment()
    assert set(given) == used
    assert {key for key, value in given.items() if not value} == {
        "POSTGRES_PASSWORD",
        "TIDEGAUGE_TOKEN",
        "GRAFANA_PASSWORD",
    }


def test_every_volume_is_used() -> None:
    used = {source for name in SERVICES for source, _ in mounts(name)}
    assert set(COMPOSE["volumes"]) <= used


def test_grafana_finds_dashboards_and_prometheus() -> None:
    targets = {target: source for source, target in mounts("grafana")}
    (provider,) = yaml.safe_load(read("provisioning/dashboards/tidegauge.yaml"))["providers"]
    folder = DEPLOY / targets[provider["options"]["path"]]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / Path(home).name).is_file()
    (source,) = yaml.safe_load(read("provisioning/datasources/tidegauge.yaml"))["datasources"]
    assert source["url"].removeprefix("$") in SERVICES["grafana"]["environment"]


def test_grafana_knows_the_scrape_interval() -> None:
    (source,) = yaml.safe_load(read("provisioning/datasources/tidegauge.yaml"))["datasources"]
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]


def test_prometheus_scrapes_with_the_token_what_compose_starts() -> None:
    job = next(j for j in PROMETHEUS["scrape_configs"] if j["job_name"] == "tidegauge")
    secret = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert secret in SERVICES["prometheus"]["secrets"]
    (target,) = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert f"127.0.0.1:{port}:{port}" in SERVICES[host]["ports"]


def test_prometheus_reads_the_rules_that_are_mounted() -> None:
    (pattern,) = PROMETHEUS["rule_files"]
    sources = {target: source for source, target in mounts("prometheus")}
    folder = DEPLOY / sources[str(Path(pattern).parent)]
    assert list(folder.glob(Path(pattern).name))


def test_promtool_reads_the_configuration() -> None:
    checked = promtool("check", "config", "--syntax-only", DEPLOY / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_amtool_reads_the_configuration() -> None:
    amtool = require_program("amtool", install=INSTALL)
    checked = subprocess.run(
        [amtool, "check-config", DEPLOY / "alertmanager.yml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def read(name: str) -> str:
    return tidegauge_dashboards.read(
        next(p for p in tidegauge_dashboards.files() if str(p) == name)
    )
