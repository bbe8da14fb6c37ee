"""Fenced blocks of the documentation, and a desk at which their commands can be run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ON_ITS_OWN = {"accounts.md", "onboarding.md", "quickstart.md", "sync.md"}
"""Pages whose blocks are one story: tests/docs/test_accounts.py and test_walks.py run them from top to bottom."""

_FENCE = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_AT_ONCE = {"BULK_QPS": "0", "BULK_LIST_QPS": "0"}
_AS_GRANTED = {"BULK_QPS": "10", "BULK_LIST_QPS": "10"}
_INTERRUPTED_AFTER_ROWS = 5


@dataclass(frozen=True)
class Fence:
    """A block of a page between two lines of backticks."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def fences_of(page: Path) -> list[Fence]:
    text = page.read_text(encoding="utf-8")
    return [
        Fence(page.name, text.count("\n", 0, match.start()) + 1, match["language"], match["text"])
        for match in _FENCE.finditer(text)
    ]


FENCES = [fence for page in PAGES if page.name not in ON_ITS_OWN for fence in fences_of(page)]


@pytest.fixture
def fences() -> list[Fence]:
    return FENCES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, languages in (("session", {"console", "sh"}), ("program", {"python"}), ("settings_file", {"toml"})):
        if name in metafunc.fixturenames:
            found = [fence for fence in FENCES if fence.language in languages]
            metafunc.parametrize(name, found, ids=map(str, found))


@dataclass
class Desk:
    """A folder of its own, and a shell in it, where the commands of a page are run one after the other.

    What the pages call by absolute paths lies below the folder; the platform that they talk to is a sandbox.
    """

    folder: Path
    platform: dict[str, str]
    as_granted: bool = False
    """Send at the rates of the settings, not as fast as it goes."""

    @cached_property
    def _shell(self) -> subprocess.Popen[str]:
        return self._start(["bash", "--norc", "--noprofile"], self.environ)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BULK_", "ALIBABA_CLOUD_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        home = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / ".config"), "COLUMNS": "80"}
        return kept | home | {"PATH": path, "TERM": "dumb"} | self.platform | ({} if self.as_granted else _AT_ONCE)

    def run(self, command: str) -> tuple[list[str], int]:
        """Run a command in the shell; return what it printed, on either stream, and its exit code."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # `$?` of the command before, for a page that shows it.
        self._shell.stdin.write(
            f"(exit ${{code:-0}}); {{ {self.here(command)}\n}} </dev/null; code=$?; echo -- $code\n"
        )
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if re.fullmatch(r"-- \d+\n", line):
                return lines, int(line[3:])
            lines.append(self.there(line.rstrip("\n")))
        raise AssertionError(f"{command} ended the shell: {lines}")

    def interrupt(self, command: str) -> tuple[list[str], int]:
        """Run a command, and press Ctrl-C when its ledger has some rows.

        At the granted rate the rest would take half a minute: a busy machine does not miss the moment.
        """
        process = self._start(["bash", "-c", f"exec {self.here(command)}"], self.environ | _AS_GRANTED)
        try:
            while process.poll() is None and self._created() < _INTERRUPTED_AFTER_ROWS:
                time.sleep(0.02)  # another process is at work: there is no event to wait for
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        # A busy machine may deliver two requests at once and be throttled, which is logged.
        return [line for line in output.splitlines() if "[warning]" not in line], process.returncode

    def here(self, text: str) -> str:
        """Put what a page says about machine and platform into this folder's words."""
        text = text.replace("runuser -u bulk -- ", "").replace("/opt/bulk/bin/bulk", "bulk")
        text = re.sub(r"(?<![\w.])/(etc|srv|var/lib|var/log)/bulk", rf"{self.folder}/\1/bulk", text)
        return re.sub(r" --region \S+| --endpoint https://\S+", "", text)

    def there(self, text: str) -> str:
        """Put this folder's words back into the page's."""
        return text.replace(str(self.folder), "")

    def close(self) -> None:
        self._shell.kill()
        with self._shell:
            pass

    def _start(self, command: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=environ,
            encoding="utf-8",
        )

    def _created(self) -> int:
        rows = 0
        for ledger in self.folder.glob("samples/*.db"):
            with suppress(sqlite3.Error), closing(sqlite3.connect(ledger)) as connection:
                (rows,) = connection.execute("SELECT count(*) FROM modules WHERE outcome = 'created'").fetchone()
        return rows


@pytest.fixture(scope="session")
def platform() -> Iterator[dict[str, str]]:
    """Serve a sandbox from another process; what it exports stands in for an account."""
    command = [sys.executable, "-m", "bulk", "sandbox", "--qps", "0", "--list-qps", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as serving:
        assert serving.stdout is not None
        lines = [serving.stdout.readline() for _ in range(3)]
        yield dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        serving.terminate()


@pytest.fixture(scope="session")
def furnished(platform: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out what the pages speak of: samples, an input, its ledger after a night, the places of a machine."""
    folder = tmp_path_factory.mktemp("desk")
    for place in ("etc/bulk", "srv/bulk", "var/lib/bulk/metrics", "var/log/bulk"):
        (folder / place).mkdir(parents=True)
    (folder / "etc/bulk/bulk.env").write_text("BULK_TIMEOUT=20\n", encoding="utf-8")
    (folder / "samples").mkdir()
    for sample in ("modules.csv", "modules.jsonl", "broken.csv"):
        shutil.copy(ROOT / "samples" / sample, folder / "samples")
    for copy in ("modules.csv", "srv/bulk/modules.csv"):
        shutil.copy(ROOT / "samples" / "modules.csv", folder / copy)
    command = [sys.executable, "-m", "bulk", "run", "srv/bulk/modules.csv", "--ledger", "var/lib/bulk/modules.db"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BULK_")}
    done = subprocess.run(
        command, cwd=folder, env=environ | platform | _AT_ONCE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    return folder


@pytest.fixture
def desk(furnished: Path, platform: dict[str, str], tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    shutil.copytree(furnished, folder)
    desk = Desk(folder, platform)
    yield desk
    desk.close()
