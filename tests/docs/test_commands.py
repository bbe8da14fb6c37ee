"""Every command of README.md and docs/ works, and prints what the page shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import PAGES, fences_of

if TYPE_CHECKING:
    from tests.docs.conftest import Desk, Fence

NOT_RUN = MappingProxyType(
    {
        "python -m pip ": "installs; .ci/run does that in a fresh environment",
        "pytest": "these tests themselves; .ci/run starts them so",
        "ruff ": "of the project's checks, which .ci/run starts",
        "mypy": "of the project's checks, which .ci/run starts",
        "lint-imports": "of the project's checks, which .ci/run starts",
        "python benchmarks/": "takes its time; .ci/run starts each of them",
        "python docs/generate_cli.py": "writes into the project; tests/docs/test_reference.py calls what it calls",
        "ALIBABA_CLOUD_ACCESS_KEY_": "an account's key; the sandbox's stands in for it",
        "python3 -m venv ": "installs, as above",
        ". .venv/bin/activate": "belongs to the command above",
        "/opt/bulk/bin/python ": "installs, as above",
        "useradd ": "needs a machine of one's own",
        "ln -s ": "needs a machine of one's own",
        "install -d ": "gives folders to a user whom the command above makes",
        "systemctl ": "needs a machine that systemd runs",
        "journalctl ": "needs a machine that systemd runs",
    }
)
"""How a command begins → why it is not run."""

SOME_ROWS_ARE_NOT_PROVISIONED = re.compile(r"\bbulk (run|plan) ")
"""Commands that end with 1, as the samples have such rows."""

SAMPLE_ROWS = 50
"""A program that starts a sandbox of its own keeps to its rate: five seconds show that as well as half a minute."""

ELLIPSIS = "..."
CTRL_C = "^C"

VOLATILE = (
    (re.compile(r'(?<=^Run )[0-9a-f]{8}|(?<="run_id": ")[0-9a-f]+'), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"), "REQUEST"),
    (re.compile(r'(?<=_per_s": )[\d.]+'), "N"),
    (re.compile(r"at most \d+/s|unlimited"), "at N/s"),
    (re.compile(r"\d+(\.\d+)?/s"), "N/s"),
    (re.compile(r"\b\d+(\.\d+)? (s|min)\b"), "N s"),
    (re.compile(r"(?<=before run )[0-9a-f]{8}|(?<=\.(?:plan|undo)-)[0-9a-f]{12}"), "ID"),
)
"""What differs from run to run → what stands in for it."""

COUNT = re.compile(r"\s*\b\d+\b")
"""How many rows were done when somebody pressed Ctrl-C differs too."""


def commands_of(fence: Fence) -> list[tuple[str, list[str] | None]]:
    """Return each command with the lines that the page shows below it; ``None``: the page shows none."""
    lines = fence.text.replace("\\\n", "").splitlines()
    if fence.language == "sh":
        return [(line, None) for line in lines if line and not line.startswith("#")]
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return list(found)


def runnable(command: str) -> str:
    """Return the command without the parts that are not run."""
    parts = (part.strip().removeprefix("export ") for part in command.split(" && "))
    return " && ".join(part for part in parts if not part.startswith(tuple(NOT_RUN)))


def stable(lines: list[str], *, counts: bool) -> list[str]:
    for pattern, placeholder in VOLATILE:
        lines = [pattern.sub(placeholder, line) for line in lines]
    return lines if counts else [COUNT.sub(" N", line) for line in lines]


def matches(shown: list[str], printed: list[str]) -> bool:
    """Say whether the printed lines are the shown ones; three dots stand for any number of lines."""
    pattern = "".join(".*" if line == ELLIPSIS else re.escape(f"{line}\n") for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed), re.DOTALL) is not None


def expected_exit_code(command: str, shown: list[str] | None) -> int:
    if CTRL_C in (shown or ()):
        return 130
    if any(line.startswith("Stopped: ") for line in shown or ()):
        return 3
    return 1 if SOME_ROWS_ARE_NOT_PROVISIONED.search(command) else 0


def test_the_commands_of_a_block_work_one_after_the_other(session: Fence, desk: Desk) -> None:
    interrupted = CTRL_C in session.text.splitlines()
    for whole_command, shown in commands_of(session):
        command = runnable(whole_command)
        if not command:
            continue
        if command.startswith("sqlite3 ") and shutil.which("sqlite3") is None:
            pytest.skip("sqlite3, which keeps copies of ledgers, is not installed")
        if CTRL_C in (shown or ()):
            printed, exit_code = desk.interrupt(command)
            printed.insert(1 + next(at for at, line in enumerate(printed) if line.startswith("Run ")), CTRL_C)
        else:
            printed, exit_code = desk.run(command)
        assert exit_code == expected_exit_code(command, shown), (command, printed)

        if shown is not None:
            counts = not interrupted
            expected, actual = stable(shown, counts=counts), stable(printed, counts=counts)
            assert matches(expected, actual), "\n".join([f"{session}: {command} prints", *actual, "not", *expected])


def test_a_program_of_a_page_runs(program: Fence, desk: Desk) -> None:
    sample = desk.folder / "samples" / "modules.csv"
    rows = sample.read_text(encoding="utf-8").splitlines(keepends=True)
    sample.write_text("".join(rows[:SAMPLE_ROWS]), encoding="utf-8")
    text = re.sub(
        r'region="[^"]*"', f"endpoint={desk.platform['BULK_ENDPOINT']!r}, qps=200, list_qps=200", program.text
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], cwd=desk.folder, env=desk.environ, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()


def test_a_settings_file_of_a_page_is_read_as_it_says(settings_file: Fence, desk: Desk) -> None:
    (desk.folder / "bulk.toml").write_text(settings_file.text, encoding="utf-8")
    (profile,) = tomllib.loads(settings_file.text)["profiles"]
    # A page's accounts have platforms of their own.
    others = "-u BULK_ENDPOINT -u BULK_REGION" if "accounts" in tomllib.loads(settings_file.text) else ""

    printed, exit_code = desk.run(
        f"env -u BULK_QPS -u BULK_LIST_QPS {others} bulk settings --settings-profile {profile}"
    )

    assert exit_code == 0, printed
    for key, value in tomllib.loads(settings_file.text)["profiles"][profile].items():
        origin = next(line.partition("profile ")[2] for line in printed if line.startswith(f"{key} "))
        assert origin == f"{profile!r} of ./bulk.toml", value


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_is_still_in_the_pages(beginning: str) -> None:
    fences = [fence for page in PAGES for fence in fences_of(page) if fence.language in {"sh", "console"}]
    commands = [command for fence in fences for command, _ in commands_of(fence)]

    assert any(beginning in command for command in commands)


def test_the_readme_begins_with_a_sentence_two_commands_and_a_resume(fences: list[Fence]) -> None:
    first, second, third = [commands_of(fence) for fence in fences[:3]]

    assert [command for command, _ in [*first, *second]] == [
        "python -m pip install . && bulk run samples/modules.csv --sandbox",
        "python -m pip install -e '.[dev]' && pytest",
    ]
    assert [command for command, _ in third] == ["bulk run samples/modules.csv --sandbox"] * 2
