"""The files of the pages about running bulk are what schedulers and Prometheus read, and what they start works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from bulk.cli.commands.fleet import fleet
from bulk.exits import ExitCode
from bulk.model import Outcome
from bulk.report.account_metrics import ACCOUNT_METRICS
from bulk.report.metrics import METRICS
from bulk.report.sync_metrics import SYNC_METRICS

if TYPE_CHECKING:
    from tests.docs.conftest import Desk, Fence

ROOT = Path(__file__).parents[2]
PAGES = {"operations.md", "nightly.md", "fleet.md", "troubleshooting.md"}
NEEDS_PERSON = {ExitCode.INCOMPLETE, ExitCode.UNUSABLE, ExitCode.REFUSED, ExitCode.WITHHELD}
STOPPING_TAKES_S = 4
SAMPLES_ARE_NOT_ALL_PROVISIONED = ExitCode.INCOMPLETE


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.fixture
def units(fences: list[Fence]) -> dict[str, str]:
    """Return the files whose first line is their path: name → text."""
    named = [fence.text for fence in fences if fence.page in PAGES and fence.text.startswith("# /")]
    return {Path(text.splitlines()[0]).name: text for text in named}


@pytest.fixture
def documents(fences: list[Fence]) -> list[dict[str, Any]]:
    return [yaml.safe_load(fence.text) for fence in fences if fence.page in PAGES and fence.language == "yaml"]


@pytest.fixture
def cron_job(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [document for document in documents if document.get("kind") == "CronJob"]
    spec: dict[str, Any] = found["spec"]
    return spec


def values(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_the_units(units: dict[str, str], tmp_path: Path) -> None:
    # systemd wants programs to be there: /bin/true stands in for one that is not installed at the page's path.
    for name in ("bulk.service", "bulk.timer", "bulk-failed.service", "sync.conf"):
        path = tmp_path / ("bulk.service.d" if name.endswith(".conf") else "") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(units[name].replace("/opt/bulk/bin/bulk", "/bin/true"), encoding="utf-8")

    files = [str(path) for path in sorted(tmp_path.iterdir()) if path.is_file()]
    command = ["systemd-analyze", "verify", "--man=no", *files]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    )

    complaints = [line for line in done.stderr.splitlines() if "bulk" in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_hour(units: dict[str, str]) -> None:
    (hour,) = values(units["bulk.timer"], "OnCalendar")

    done = subprocess.run(["systemd-analyze", "calendar", hour], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Next elapse" in done.stdout


def test_what_the_service_starts_works(units: dict[str, str], desk: Desk) -> None:
    (run,) = values(units["bulk.service"], "ExecStart")
    (report,) = values(units["bulk.service"], "ExecStopPost")

    _, run_code = desk.run(run)
    _, report_code = desk.run(report.removeprefix("-"))

    assert (run_code, report_code) == (SAMPLES_ARE_NOT_ALL_PROVISIONED, 0)
    assert (desk.folder / "var/lib/bulk/modules.html").stat().st_size
    assert (desk.folder / "var/lib/bulk/metrics/modules.prom").stat().st_size
    assert (desk.folder / "var/log/bulk/modules.log").stat().st_size


def test_the_service_restarts_only_what_may_come_right_by_itself(units: dict[str, str]) -> None:
    (prevented,) = values(units["bulk.service"], "RestartPreventExitStatus")
    (well,) = values(units["bulk.service"], "SuccessExitStatus")

    assert set(map(int, prevented.split())) == NEEDS_PERSON
    assert set(map(int, well.split())) == {ExitCode.CHANGED, ExitCode.TERMINATED}


def test_every_scheduler_leaves_time_to_end_well(units: dict[str, str], cron_job: dict[str, Any]) -> None:
    (stop_s,) = values(units["bulk.service"], "TimeoutStopSec")
    grace_s = cron_job["jobTemplate"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert int(stop_s) >= 2 * STOPPING_TAKES_S
    assert grace_s >= 2 * STOPPING_TAKES_S


def test_the_line_for_cron_works_and_prints_only_where_there_is_something_to_say(
    fences: list[Fence], desk: Desk
) -> None:
    (table,) = [fence.text for fence in fences if fence.language == "crontab"]
    (line,) = [line for line in table.splitlines() if line[0].isdigit()]
    *when, user, command = line.split(maxsplit=6)

    printed, _ = desk.run(command)

    assert all(re.fullmatch(r"[\d*]+", part) for part in when)
    assert user == "bulk"
    assert "%" not in command, "cron ends a command at a per cent sign"
    assert any("rows provisioned" in text for text in printed)


def test_the_cron_job_is_laid_out_as_kubernetes_wants_it(cron_job: dict[str, Any]) -> None:
    job = cron_job["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    rules = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]

    assert cron_job["concurrencyPolicy"] == "Forbid"
    assert job["template"]["spec"]["restartPolicy"] == "Never", "a podFailurePolicy wants that"
    assert [(rule["containerName"], set(rule["values"])) for rule in rules] == [(container["name"], NEEDS_PERSON)]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in job["template"]["spec"]["volumes"]
    }


def test_what_the_cron_job_starts_works(cron_job: dict[str, Any], desk: Desk) -> None:
    (container,) = cron_job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    command = shlex.join([*container["command"], *container["args"]])

    _, exit_code = desk.run(command.replace("/data/", "/srv/bulk/"))

    assert exit_code == SAMPLES_ARE_NOT_ALL_PROVISIONED


@pytest.fixture
def fleet_job(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [document for document in documents if document.get("kind") == "Job"]
    spec: dict[str, Any] = found["spec"]
    return spec


@pytest.fixture
def array(fences: list[Fence]) -> str:
    (found,) = [fence.text for fence in fences if fence.page in PAGES and "#SBATCH" in fence.text]
    return found


def fleet_commands(fences: list[Fence]) -> list[list[str]]:
    (found,) = [fence.text for fence in fences if fence.page in PAGES and fence.text.startswith("bulk fleet split")]
    return [shlex.split(line)[2:] for line in found.splitlines()]


def understood(words: list[str]) -> dict[str, Any]:
    """Return what a command of `bulk fleet` takes from its words."""
    name, *arguments = words
    with click.Context(fleet) as group:
        command = fleet.get_command(group, name)
        assert command is not None
        with command.make_context(name, arguments, parent=group) as context:
            return context.params


def test_the_indexed_job_is_laid_out_as_kubernetes_wants_it(fleet_job: dict[str, Any]) -> None:
    pod = fleet_job["template"]["spec"]
    (container,) = pod["containers"]
    rules = [rule for rule in fleet_job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]

    assert fleet_job["completionMode"] == "Indexed"
    assert fleet_job["podReplacementPolicy"] == "Failed", "a podFailurePolicy wants that"
    assert fleet_job["backoffLimitPerIndex"], "FailIndex wants that"
    assert pod["restartPolicy"] == "Never", "a podFailurePolicy wants that"
    assert [(rule["action"], set(rule["onExitCodes"]["values"])) for rule in rules] == [
        ("FailIndex", NEEDS_PERSON - {ExitCode.WITHHELD})
    ]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] >= 2 * STOPPING_TAKES_S


def test_the_indexed_job_starts_a_worker_for_each_shard(fleet_job: dict[str, Any], fences: list[Fence]) -> None:
    (container,) = fleet_job["template"]["spec"]["containers"]
    split, *_ = fleet_commands(fences)
    (script,) = container["args"]
    words = shlex.split(script.replace("$JOB_COMPLETION_INDEX", "6"))

    asked = understood(words[3:])

    assert [*container["command"], *words[:3]] == ["sh", "-c", "exec", "bulk", "fleet"]
    assert (asked["shard"], fleet_job["completions"]) == (6, understood(split)["shards"])
    assert asked["url"] == understood(split)["url"]
    paths = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {asked["work_folder"], "/tmp"} <= paths
    (settings,) = [each["value"] for each in container["env"] if each["name"] == "BULK_SETTINGS"]
    assert str(Path(settings).parent) in paths


def test_the_array_starts_a_worker_for_each_shard(array: str, fences: list[Fence]) -> None:
    checked = subprocess.run(["bash", "-n"], input=array, text=True, capture_output=True, check=False)
    split, *_ = fleet_commands(fences)
    (last,) = re.findall(r"^#SBATCH --array=0-(\d+)$", array, re.MULTILINE)
    (line,) = re.findall(r"^exec (.*)$", array.replace("\\\n", " "), re.MULTILINE)
    words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", last))

    assert (checked.returncode, checked.stderr) == (0, "")
    assert words[:2] == ["bulk", "fleet"]
    assert understood(words[2:])["shard"] + 1 == understood(split)["shards"]
    assert "--signal=B:TERM@" in array, "else only steps of the job are signalled"


def test_the_commands_of_a_fleet_work_one_after_the_other(fences: list[Fence], desk: Desk) -> None:
    accounts = "\n".join(
        f'[accounts.a{number}]\nendpoint = "https://p{number}"\nkey_env = "K{number}"\nrate_group = "g{number}"'
        for number in range(7)
    )
    (desk.folder / "bulk.toml").write_text(accounts)
    (desk.folder / "srv/bulk/modules.csv").write_text("Account,ProductKey,ModuleName\na0,pk,m\n")

    ends = [
        desk.run(shlex.join(["unset", *desk.platform, ";"]).replace("';'", ";") + shlex.join(["bulk", "fleet", *words]))
        for words in ([word.replace("s3://example/bulk", "store") for word in each] for each in fleet_commands(fences))
    ]

    printed, codes = [line for lines, _ in ends for line in lines], [code for _, code in ends]
    assert codes == [0, 0, ExitCode.INCOMPLETE], printed
    assert any(line.startswith("1 row of 7 accounts in 7 shards, merged into") for line in printed)


def test_alerts_ask_for_figures_that_there_are(documents: list[dict[str, Any]]) -> None:
    (groups,) = [document["groups"] for document in documents if "groups" in document]
    expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    asked = {name for expression in expressions for name in re.findall(r"\bbulk_\w+", expression)}
    outcomes = {name for expression in expressions for name in re.findall(r'outcome=~"([^"]*)"', expression)}

    assert expressions
    assert asked <= {*METRICS, *ACCOUNT_METRICS, *SYNC_METRICS}
    assert {name for names in outcomes for name in names.split("|")} <= set(Outcome)


def test_every_exit_code_is_in_the_table() -> None:
    table = page("operations.md").partition("## What each exit code asks for")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)

    assert [int(code) for row in codes for code in row.split(",")] == list(ExitCode)


def test_every_reason_of_the_table_is_one_that_the_program_gives() -> None:
    table = page("troubleshooting.md").partition("## Why a run stops")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| ")][1:]
    reasons = [reason for cell in cells for reason in re.findall(r"`([^`]+)`", cell)]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bulk").rglob("*.py")).lower()

    unknown = [
        part
        for reason in reasons
        for part in re.split(r"…|\d+", reason.lower())
        if part.strip() and part.strip() not in sources
    ]
    assert reasons
    assert unknown == []
