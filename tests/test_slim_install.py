"""The package tidegauge-probes in a fresh environment: what a notebook gets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.probes.labeling.test_id_on_any_python import IDS
from tests.servers.required import absent
from tests.wheels import REPOSITORY, build_wheel

pytestmark = pytest.mark.slow

EXTRAS = {"pandas", "python-dateutil", "pytz", "scipy", "six", "tzdata"}
"""What is pinned for the extras alone."""

SERVICE = {"altair", "fastapi", "kafka-python", "sqlalchemy", "tidegauge", "uvicorn"}

UNREACHABLE = ("NewConnectionError", "NameResolutionError", "Max retries exceeded", "ProxyError")
"""What pip says where there is no network."""

OLDEST = "3.10"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds the wheel and its pinned dependencies, no extras."""

    python: Path

    def run(self, script: str) -> str:
        """Run a script, isolated from this process's variables and folder; return what it says."""
        command = [str(self.python), "-I", "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


def interpreter(version: str) -> str:
    """Find a Python of that version; skip where there is none, on CI as well.

    Debian has one Python, and it is the one that runs the tests.
    """
    if version == "this":
        return sys.executable
    beside = Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")
    for candidate in (shutil.which(f"python{version}"), *map(str, sorted(beside))):
        if candidate and works(candidate):
            return candidate
    how = f"to run this test: pyenv install {version}"
    return pytest.skip(f"python{version} is not installed; {how}")


def works(candidate: str) -> bool:
    """Whether it starts, which a shim does not promise, and can make an environment."""
    command = [candidate, "-c", "import venv"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


@pytest.fixture(scope="module", params=["this", OLDEST])
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Give an environment of this Python, and one of the oldest."""
    python = interpreter(request.param)
    folder = tmp_path_factory.mktemp("slim")
    make = [python, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(make, check=True, timeout=120)
    made = Environment(folder / "venv" / "bin" / "python")
    requirements = folder / "requirements.txt"
    requirements.write_text(without_extras(), encoding="utf-8")
    install(made, "--require-hashes", "-r", str(requirements))
    wheel = build_wheel(REPOSITORY / "probes", folder)
    install(made, "--no-deps", "--no-index", str(wheel))
    return made


def without_extras() -> str:
    """Return the pins of what the probes always need, with their hashes."""
    text = (REPOSITORY / "requirements" / "probes.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text)
    kept = [entry for entry in entries if entry.split("==")[0] not in EXTRAS]
    assert len(kept) < len(entries)
    return "\n".join(kept)


def install(environment: Environment, *arguments: str) -> None:
    """Install with pip; where no index answers, skip the test, and fail it on CI."""
    done = pip(environment, "install", "--quiet", "--no-compile", *arguments)
    if done.returncode and any(word in done.stdout + done.stderr for word in UNREACHABLE):
        absent("pip reaches no package index; this test installs the pinned dependencies from one")
    assert done.returncode == 0, done.stdout + done.stderr


def pip(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the pip of this environment upon another, which so needs none."""
    command = [sys.executable, "-m", "pip", "--no-input", "--python", str(environment.python)]
    return subprocess.run(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def ten_lines(page: str) -> str:
    """Return the Python of a README's section on notebooks."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    section = text.partition("pip install ./probes")[2]
    found = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_both_readmes_have_the_same_ten_lines() -> None:
    assert ten_lines("README.md") == ten_lines("probes/README.md")
    assert len([line for line in ten_lines("README.md").splitlines() if line]) <= 10


def test_nothing_of_the_service_is_installed(environment: Environment) -> None:
    listed = """
import json, re
from importlib.metadata import distributions
print(json.dumps([re.sub("[-_.]+", "-", d.metadata["Name"]).lower() for d in distributions()]))
"""
    installed = set(json.loads(environment.run(listed)))
    assert installed & (SERVICE | EXTRAS) == set()
    assert "tidegauge-probes" in installed
    assert len(installed) < 15


def test_what_is_installed_fits_together(environment: Environment) -> None:
    done = pip(environment, "check")
    assert done.returncode == 0, done.stdout


def test_the_ten_lines_of_the_readme_run(environment: Environment) -> None:
    """A lambda or function typed after `python -c` has no source: a file, as of a notebook, has."""
    checked = ten_lines("README.md") + (
        "assert matrix.votes.shape == (1000, 1)\n"
        "assert matrix.votes.dtype == 'int8'\n"
        "assert matrix.votes[:, 0].tolist() == [1, -1] * 500\n"
        "assert not matrix.faults\n"
    )
    file = environment.python.parent / "ten_lines.py"
    file.write_text(checked, encoding="utf-8")
    environment.run(f"import runpy; runpy.run_path({str(file)!r})")


def test_templates_and_words_need_no_extra(environment: Environment) -> None:
    """Words, a pattern (RE2 of pyarrow) and numbers over 1,000 records."""
    environment.run("""
from tidegauge_probes import ProbeSet, run
from tidegauge_probes.counts import panes
from tidegauge_probes.labeling.templates import TemplateSpec
conditions = [
    {"keyword": {"any": ["vicodin"], "whole_word": True}},
    {"regex": {"pattern": r"v[i1]c\\w+n"}},
    {"numeric": {"field": "links", "at_least": 3}},
]
specs = [TemplateSpec(name=f"lf{n}", label=1, **c) for n, c in enumerate(conditions)]
records = [{"text": "V1codin, vicodin", "links": n % 5} for n in range(1000)]
matrix = run(ProbeSet.of(specs), records)
assert (matrix.votes == 1).sum(axis=0).tolist() == [1000, 1000, 400], matrix
assert panes.fold(matrix, 2, {}).records == 1000
""")


@pytest.mark.parametrize(
    ("use", "extra", "package"),
    [
        ("tidegauge_probes.counts.analysis.pd.DataFrame", "analysis", "pandas"),
        ("tidegauge_probes.drift.scan.special.ndtr", "statistics", "scipy"),
        ("tidegauge_probes.label_model.ratios.optimize.nnls", "statistics", "scipy"),
        ("tidegauge_probes.nlp_labeling_function()(lambda x: -1)", "nlp", "spacy"),
    ],
)
def test_what_an_extra_would_install_says_so(
    environment: Environment, use: str, extra: str, package: str
) -> None:
    said = environment.run(f"""
import tidegauge_probes.counts.analysis, tidegauge_probes.drift.scan
import tidegauge_probes.label_model.precision
from tidegauge_probes import ProbeError
try:
    {use}
except ProbeError as error:
    assert isinstance(error, ImportError)
    print(error)
""")
    assert said == f"{package} is not installed: pip install 'tidegauge-probes[{extra}]'\n"


def test_every_module_is_imported_without_an_extra(environment: Environment) -> None:
    environment.run("""
import pkgutil, importlib, tidegauge_probes
names = [m.name for m in pkgutil.walk_packages(tidegauge_probes.__path__, "tidegauge_probes.")]
assert len(names) > 40
for name in names:
    importlib.import_module(name)
for name in tidegauge_probes.__all__:
    getattr(tidegauge_probes, name)
""")


def test_a_probe_set_has_the_id_that_it_has_in_the_service(environment: Environment) -> None:
    said = environment.run(f"""
import json, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.probes.labeling.lfs_of_any_python import PYTHON
from tidegauge_probes import ProbeSet
print(json.dumps({{style: ProbeSet.of([lf]).id for style, lf in PYTHON.items()}}))
""")
    ids = json.loads(said)
    assert ids == {style: IDS[style] for style in ids}
    assert len(ids) > 10
