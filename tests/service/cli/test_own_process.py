"""An LF that ends the process ends a command with an error, never with success and no output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.waiting import wait_until
from tests.service.streams_for_tests import record, write_jsonl, write_stream
from tidegauge_probes.labeling.current_call import SIZE
from tidegauge_service.cli import main
from tidegauge_service.cli.console.own_process import OWN_PROCESS

LFS = """
import os, signal, sys, time
from tidegauge_probes import labeling_function, slicing_function

@labeling_function()
def fine(x):
    return 1 if "free" in x.text else 0

@labeling_function()
def fatal(x):
    if "500" in x.text:
        {ending}
    return -1

LFS = [fine, fatal]
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
COMMANDS = {
    "plan": ("plan", "stream.yaml"),
    "replay": ("replay", "stream.yaml"),
    "fit": ("baseline", "fit", "stream.yaml", "--name", "mine", "--records", "records.jsonl"),
    "check": ("probes", "check", "stream.yaml"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "records.jsonl", [record(n, f"free {n}") for n in range(480, 520)])
    write_stream(tmp_path, "lfs:LFS", baseline={"from": "2020-09-01", "until": "2020-10-01"})
    return tmp_path


def start(folder: Path, *arguments: str, source: str) -> subprocess.Popen[str]:
    (folder / "lfs.py").write_text(source)
    environment = os.environ | {"TIDEGAUGE_DATABASE": f"sqlite:///{folder}/t.db"}
    return subprocess.Popen(
        [sys.executable, "-m", "tidegauge_service.cli", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str, source: str) -> tuple[int, str]:
    """Return the exit code and what stands on standard error."""
    with start(folder, *arguments, source=source) as process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_lf_that_exits_makes_every_command_fail_and_is_named(folder: Path, command: str) -> None:
    code, said = run(folder, *COMMANDS[command], source=LFS.format(ending="os._exit(0)"))
    assert code == 2
    assert "LF 'fatal' ended the process (exit code 0)" in said


def test_a_crash_is_said_with_its_signal(folder: Path) -> None:
    code, said = run(folder, *COMMANDS["check"], source=LFS.format(ending=CRASH))
    assert code == 2
    assert "LF 'fatal' ended the process (SIGSEGV)" in said


def test_a_slicing_function_and_an_import_are_named_as_what_they_are(folder: Path) -> None:
    ending = LFS.format(ending="os._exit(0)")
    sliced = ending.replace("@labeling_function()\ndef fatal", "@slicing_function()\ndef fatal")
    code, said = run(folder, *COMMANDS["check"], source=sliced)
    assert (code, "slicing function 'fatal' ended the process" in said) == (2, True)
    code, said = run(folder, *COMMANDS["check"], source="import os; os._exit(0)")
    assert (code, "the import of module 'lfs' ended the process" in said) == (2, True)


def test_a_long_name_is_cut_and_a_command_that_works_succeeds(folder: Path) -> None:
    name = "f" * (SIZE + 9)
    ending = LFS.format(ending="os._exit(0)").replace("fatal", name)
    code, said = run(folder, *COMMANDS["check"], source=ending)
    assert (code, f"LF '{name[:99]}" in said) == (2, True)
    code, said = run(folder, *COMMANDS["check"], source=LFS.format(ending="pass"))
    assert (code, "ended the process" in said) == (0, False)


def test_the_exit_codes_of_errors_stay_as_they_are(folder: Path) -> None:
    (folder / "records.jsonl").unlink()
    code, said = run(folder, *COMMANDS["plan"], source=LFS.format(ending="pass"))
    assert code == 3
    assert said.count("error:") == 1


def test_a_caller_in_python_keeps_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ``main`` may fork, and only while it runs: pytest itself would go on twice."""
    monkeypatch.setattr(sys, "argv", ["tidegauge", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert not OWN_PROCESS.allowed
    before = os.getpid()
    OWN_PROCESS.enter()
    assert os.getpid() == before


WAITING = "open('pid', 'w').write(f'{os.getpid()} '); time.sleep(600)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_command_ends_it_and_what_it_runs(folder: Path, number: int) -> None:
    """It has two processes, but whoever started it knows one."""
    with start(folder, *COMMANDS["check"], source=LFS.format(ending=WAITING)) as process:
        wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text()[-1:] == " ")
        child = int((folder / "pid").read_text())
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == -number
    assert child != process.pid
    wait_until(lambda: ended(child))


def test_a_command_that_is_killed_says_in_which_lf(folder: Path) -> None:
    killed = LFS.format(ending="os.kill(os.getpid(), signal.SIGKILL)")
    code, said = run(folder, *COMMANDS["check"], source=killed)
    assert code == -signal.SIGKILL
    assert "killed while LF 'fatal' ran (SIGKILL)" in said


def ended(process: int) -> bool:
    """Whether a process is gone, or nothing but a zombie that nobody has waited for."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
