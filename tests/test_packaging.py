"""The wheels, the image and the requirements are what an installer expects."""

import os
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.servers.required import absent, require_program
from tests.wheels import REPOSITORY, build_wheel

PROJECTS = {"tidegauge": REPOSITORY, "tidegauge-probes": REPOSITORY / "probes"}
PACKAGES = {
    "tidegauge": {"tidegauge_service", "tidegauge_alerts", "tidegauge_dashboards"},
    "tidegauge-probes": {"tidegauge_probes"},
}
ROOTS = {
    "tidegauge_service": "service",
    "tidegauge_probes": "probes",
    "tidegauge_alerts": "alerts",
    "tidegauge_dashboards": "dashboards",
}
PINNED = ("run.txt", "probes.txt", "dev.txt", "build.txt", "snorkel.txt", "parity.txt", "torch.txt")


def home(package: str) -> str:
    """Return the distribution that ships a package."""
    return next(name for name, packages in PACKAGES.items() if package in packages)


# Written in parts, so that this file does not name what it forbids.
FORBIDDEN = [
    re.escape(f"{name}.{domain}")
    for name, domain in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("repo.maven", "apache.org"),
        ("repo1.maven", "org"),
        ("deb.debian", "org"),
        ("crates", "io"),
        ("proxy.golang", "org"),
    ]
] + [rf"(?<![\w.]){'/' + folder}/" for folder in ("work", "tmp/w")]


# -- The wheels -----------------------------------------------------------------------------------


Wheels = dict[str, zipfile.ZipFile]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wheels]:
    """Give the wheel of each distribution."""
    with ExitStack() as opened:
        yield {
            name: opened.enter_context(
                zipfile.ZipFile(build_wheel(project, tmp_path_factory.mktemp("wheel")))
            )
            for name, project in PROJECTS.items()
        }


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_holds_its_packages_and_nothing_else(wheels: Wheels, name: str) -> None:
    top = {member.split("/")[0] for member in wheels[name].namelist()}
    assert {member for member in top if not member.endswith(".dist-info")} == PACKAGES[name]


def test_each_package_is_in_one_wheel() -> None:
    assert sorted(p for packages in PACKAGES.values() for p in packages) == sorted(ROOTS)


@pytest.mark.parametrize("package", ROOTS)
def test_a_wheel_says_that_it_is_typed(wheels: Wheels, package: str) -> None:
    assert f"{package}/py.typed" in wheels[home(package)].namelist()


@pytest.mark.parametrize("package", ROOTS)
def test_a_wheel_holds_every_file_of_the_packages(wheels: Wheels, package: str) -> None:
    """Code and data: migrations, templates, static files, dashboards, rules."""
    source = REPOSITORY / ROOTS[package]
    kept = {
        path.relative_to(source).as_posix()
        for path in (source / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert kept - set(wheels[home(package)].namelist()) == set()


def metadata(wheels: Wheels, name: str) -> Message:
    (member,) = [m for m in wheels[name].namelist() if m.endswith(".dist-info/METADATA")]
    return message_from_bytes(wheels[name].read(member))


def test_the_service_needs_the_probes_of_its_own_version(wheels: Wheels) -> None:
    version = metadata(wheels, "tidegauge-probes")["Version"]
    assert metadata(wheels, "tidegauge")["Version"] == version
    needed = metadata(wheels, "tidegauge").get_all("Requires-Dist", [])
    ours = [requirement for requirement in needed if requirement.startswith("tidegauge-probes")]
    assert ours == [
        f"tidegauge-probes[analysis,statistics]=={version}",
        f"tidegauge-probes[nlp]=={version}; extra == 'nlp'",
    ]


def test_the_probes_need_nothing_of_the_service(wheels: Wheels) -> None:
    needed = metadata(wheels, "tidegauge-probes").get_all("Requires-Dist", [])
    names = {re.split(r"[<>=;\[ ]", requirement)[0].lower() for requirement in needed}
    assert names == {
        "ahocorasick-rs", "msgspec", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "scipy",
        "spacy", "typing-extensions",
    }  # fmt: skip
    assert {"pandas", "scipy", "spacy"} == {
        re.split(r"[<>]", requirement)[0] for requirement in needed if "extra ==" in requirement
    }


@pytest.mark.parametrize(("name", "oldest"), [("tidegauge", "3.11"), ("tidegauge-probes", "3.10")])
def test_a_wheel_says_which_python_it_needs(wheels: Wheels, name: str, oldest: str) -> None:
    assert metadata(wheels, name)["Requires-Python"] == f">={oldest}"
    assert "```" in metadata(wheels, name).get_payload(), "the README is its description"


def test_the_service_installs_the_command(wheels: Wheels) -> None:
    (name,) = [n for n in wheels["tidegauge"].namelist() if n.endswith("entry_points.txt")]
    assert "tidegauge = tidegauge_service.cli:main" in wheels["tidegauge"].read(name).decode()


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_carries_its_licence(wheels: Wheels, name: str) -> None:
    (member,) = [m for m in wheels[name].namelist() if m.endswith("/LICENSE")]
    assert wheels[name].read(member) == (REPOSITORY / "LICENSE").read_bytes()


# -- The image: no engine here, so what can be told from the text ---------------------------------


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Give the Dockerfile's instructions, continued lines joined, comments dropped."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text))
    lines = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in lines]


def values(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in instructions if name == word]


def final_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(at for at, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[last:]


def test_the_image_has_two_stages_of_one_fixed_base(instructions: list[tuple[str, str]]) -> None:
    bases = [rest.split()[0] for rest in values(instructions, "FROM")]
    assert bases == ["python:3.12-slim", "python:3.12-slim"]
    assert "latest" not in " ".join(bases)


def test_the_image_runs_as_a_number_that_is_not_root(instructions: list[tuple[str, str]]) -> None:
    (user,) = values(final_stage(instructions), "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_the_image_checks_its_health(instructions: list[tuple[str, str]]) -> None:
    (check,) = values(final_stage(instructions), "HEALTHCHECK")
    assert '"python"' in check
    (environment,) = values(final_stage(instructions), "ENV")
    (port,) = values(final_stage(instructions), "EXPOSE")
    assert f":{port}/healthz" in environment
    assert f"TIDEGAUGE_PORT={port} " in environment


def test_every_install_in_the_image_is_pinned_or_local(
    instructions: list[tuple[str, str]],
) -> None:
    runs = " && ".join(values(instructions, "RUN"))
    installs = re.findall(r"pip install[^&]*", runs)
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps dist/" in install


def test_the_image_builds_and_installs_both_wheels(instructions: list[tuple[str, str]]) -> None:
    runs = " ".join(values(instructions, "RUN"))
    assert "--wheel-dir dist ./probes ." in runs
    assert "--no-deps dist/tidegauge*.whl" in runs
    assert "pip check" in runs


def test_the_final_stage_installs_nothing(instructions: list[tuple[str, str]]) -> None:
    assert not any(
        "pip" in rest or "apt" in rest for rest in values(final_stage(instructions), "RUN")
    )
    assert values(final_stage(instructions), "ENTRYPOINT") == ['["tidegauge"]']
    assert values(final_stage(instructions), "VOLUME") == ['["/data"]']


def test_what_the_image_copies_is_not_ignored(instructions: list[tuple[str, str]]) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split("\n")
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for rest in values(instructions, "COPY")
        if "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == kept


# -- The requirements -----------------------------------------------------------------------------


def entries(name: str) -> list[str]:
    """Return the entries of a requirements file, continued lines joined."""
    text = (REPOSITORY / "requirements" / name).read_text(encoding="utf-8")
    return [line for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]


def pins(name: str, *, without: str = "") -> dict[str, str]:
    """Return package → version, of entries whose marker does not hold *without*."""
    kept = [entry for entry in entries(name) if not without or without not in entry]
    return dict(entry.split()[0].split("==") for entry in kept)


@pytest.mark.parametrize("name", PINNED)
def test_requirements_are_pins_with_hashes_and_no_address(name: str) -> None:
    assert entries(name)
    for entry in entries(name):
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
        assert "://" not in entry
        assert "--index" not in entry


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    shipped = pins("run.txt")
    assert shipped.items() <= pins("dev.txt").items()
    assert pins("build.txt").items() <= pins("dev.txt").items()
    assert (shipped | pins("build.txt")).items() <= pins("parity.txt").items()


def test_parity_runs_with_the_versions_that_tests_run_with() -> None:
    dev, parity, torch = pins("dev.txt"), pins("parity.txt"), pins("torch.txt")
    assert {name: parity[name] for name in dev.keys() & parity} == {
        name: dev[name] for name in dev.keys() & parity
    }
    assert {name: torch[name] for name in parity.keys() & torch} == {
        name: parity[name] for name in parity.keys() & torch
    }
    assert "spacy" in parity
    assert "torch" in torch
    assert "torch" not in parity, "installed on its own, so that another build can be taken"


OLD = "python_full_version < '3.11'"
"""Marker of what only Python 3.10 gets."""


def test_the_probes_are_pinned_to_the_versions_of_the_service() -> None:
    """One lock: Python 3.10, which the service does not run on, has versions of its own."""
    shipped, slim = pins("run.txt"), pins("probes.txt", without=OLD)
    assert {name: shipped.get(name) for name in slim} == slim
    assert pins("probes.txt", without="python_full_version >= '3.11'").keys() >= slim.keys()
    assert {"fastapi", "kafka-python", "sqlalchemy", "altair", "spacy"} & slim.keys() == set()


@pytest.mark.parametrize(
    ("name", "pinned"), [("tidegauge", "run.txt"), ("tidegauge-probes", "probes.txt")]
)
def test_every_dependency_is_pinned(name: str, pinned: str) -> None:
    text = (PROJECTS[name] / "pyproject.toml").read_text(encoding="utf-8")
    declared = {
        re.split(r"[\[<>=~! ]", dependency)[0].lower().replace("_", "-")
        for dependency in tomllib.loads(text)["project"]["dependencies"]
    }
    assert len(declared) > 5
    assert declared - set(pins(pinned)) - set(PROJECTS) == set()


def test_what_must_not_be_needed_is_not() -> None:
    assert {"torch", "snorkel", "httpx", "passlib"} & set(pins("run.txt")) == set()
    assert set(pins("snorkel.txt")) == {"snorkel"}
    assert "torch" not in pins("dev.txt")


# -- The repository -------------------------------------------------------------------------------


def repository_files() -> list[Path]:
    git = require_program("git", install="apt-get install git")
    command = [str(git), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    # A clone made by another user is still this project's: safe.directory is for its hooks.
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, check=False, timeout=60, env=environment
    )
    if done.returncode != 0:
        absent(f"not a git repository: {done.stderr.decode()}")
    paths = [REPOSITORY / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_machine_or_a_registry() -> None:
    pattern = re.compile("|".join(FORBIDDEN))
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in repository_files()
        for match in pattern.finditer(path.read_bytes().decode("utf-8", errors="replace"))
    ]
    assert found == []


def test_the_search_would_find_them() -> None:
    pattern = re.compile("|".join(FORBIDDEN))
    assert pattern.search("see " + "/" + "work/main")
    assert pattern.search("https://" + "pypi" + ".org/simple")
    assert not pattern.search("frame/" + "work/x")
