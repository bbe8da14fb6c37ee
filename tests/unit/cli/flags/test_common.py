from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import click
import pytest

from bulk.cli.app import main
from bulk.cli.commands.plan import plan
from bulk.cli.commands.run import run
from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import input_argument, settings_options
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings import FailureCap, ReadSettings, Settings
from bulk.settings.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path


@click.command
@input_argument
@settings_options
@click.pass_context
def command(ctx: click.Context, /, **_flags: object) -> Settings:
    return settings_of(ctx)


def settings(*arguments: str) -> Settings:
    made = command.main(["in.csv", *arguments], standalone_mode=False)
    assert isinstance(made, Settings)
    return made


def test_no_flag_means_the_defaults() -> None:
    assert settings() == Settings()


def test_every_flag_reaches_its_setting() -> None:
    made = settings(
        *("--endpoint", "https://h/", "--dialect", "tuya", "--instance-id", "i", "--insecure-http", "--ledger", "l.db"),
        *("--profile", "nightly"),
        *("--qps", "100", "--list-qps", "0", "--concurrency", "3"),
        *("--max-attempts", "2", "--timeout", "1.5", "--max-failures", "2%", "--deadline", "1h30m"),
        *("--format", "tsv", "--map", "ProductKey=pk", "--map", "Desc=note", "--encoding", "gb18030"),
        *("--delimiter", "tab", "--lenient-alias", "--limit", "3", "--only", "a1*", "--only", "b1*"),
    )

    assert made == Settings(
        endpoint="https://h/",
        dialect=Dialect.TUYA,
        instance_id="i",
        insecure_http=True,
        profile="nightly",
        ledger="l.db",
        qps=100.0,
        list_qps=0.0,
        concurrency=3,
        max_attempts=2,
        timeout_s=1.5,
        max_failures=FailureCap(percent=2.0),
        deadline_s=5400.0,
        limit=3,
        only=("a1*", "b1*"),
        read=ReadSettings(
            format="tsv",
            encoding="gb18030",
            delimiter="\t",
            columns={"ProductKey": "pk", "Desc": "note"},
            lenient_alias=True,
        ),
    )
    assert made.dialect is Dialect.TUYA


def test_no_setting_is_without_its_flag_unless_only_the_file_gives_it() -> None:
    flags = {parameter.name for parameter in command.params}
    settings_fields = {field.name for field in [*fields(Settings), *fields(ReadSettings)]} - {"read"}

    of_file_alone = {key.option for key in KEYS.values() if not key.has_flag} | {"accounts"}

    assert settings_fields - flags == of_file_alone


def test_environment_stands_in_for_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_ENDPOINT", "https://h/")
    monkeypatch.setenv("BULK_QPS", "50")

    assert settings() == Settings(endpoint="https://h/", qps=50.0)


@pytest.mark.parametrize("stray", ["\r", "\r\n", " ", "\u00a0", "\ufeff", "\u200b"])
def test_what_nobody_sees_at_the_ends_of_a_variable_is_dropped(stray: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BULK_INSTANCE_ID": "iot-1",
        "BULK_REGION": "r",
        "BULK_DIALECT": "alibaba",
        "BULK_QPS": "8",
        "BULK_CONCURRENCY": "3",
        "BULK_DEADLINE": "90s",
        "BULK_MAX_FAILURES": "2%",
    }.items():
        monkeypatch.setenv(name, f"{stray}{value}{stray}")

    assert settings() == Settings(
        instance_id="iot-1",
        region="r",
        dialect=Dialect.ALIBABA,
        qps=8.0,
        concurrency=3,
        deadline_s=90.0,
        max_failures=FailureCap(percent=2.0),
    )


def test_variable_that_holds_nothing_to_be_seen_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_INSTANCE_ID", "\r")

    assert settings() == Settings()


@pytest.mark.parametrize("name", ["BULK_REGION", "BULK_INSTANCE_ID", "BULK_ENDPOINT", "BULK_QPS", "BULK_DEADLINE"])
@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", "“{}”"])
def test_quotes_around_a_variable_are_named(
    name: str, quoted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName\n", encoding="utf-8")
    monkeypatch.setenv(name, quoted.format("5"))

    assert main(["run", str(source)]) == 2
    assert f"{name} has quotes around its value" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--region", "--instance-id", "--endpoint", "--profile", "--ledger", "--encoding"])
@pytest.mark.parametrize("text", ["x\r", "\x1b[2Jx", "x\ny"])
def test_control_character_in_a_flag_is_refused_and_not_shown(
    flag: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName\n", encoding="utf-8")

    assert main(["run", str(source), flag, text]) == 2

    said = capsys.readouterr().err
    assert flag in said
    assert " holds " in said
    assert not {"\r", "\x1b"} & set(said)
    assert list(tmp_path.iterdir()) == [source]


def test_column_may_have_a_line_break_in_its_name() -> None:
    assert settings("--map", "Desc=de\nsc").read.columns == {"Desc": "de\nsc"}


@pytest.mark.parametrize(
    ("flags", "made"), [(["--sandbox"], Settings(sandbox=True)), (["--region", "r"], Settings(region="r"))]
)
def test_place_by_flag_beats_another_place_by_environment(
    flags: list[str], made: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_ENDPOINT", "https://h/")

    assert settings(*flags) == made


def test_two_places_by_flag_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        settings("--sandbox", "--endpoint", "https://h/")


def test_two_places_by_environment_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_ENDPOINT", "https://h/")
    monkeypatch.setenv("BULK_REGION", "r")

    with pytest.raises(SettingsError, match="exclude each other"):
        settings()


@pytest.mark.parametrize("documented", [run, plan])
def test_help_names_every_environment_variable(documented: click.Command) -> None:
    variables = {parameter.envvar for parameter in documented.params if parameter.envvar}

    assert set(re.findall(r"BULK_\w+", documented.epilog or "")) == variables


@pytest.mark.parametrize(
    "flags",
    [
        ["--qps", "inf"],
        ["--qps", "1e400"],
        ["--qps", "99999999999999999999"],
        ["--list-qps", "inf"],
        ["--timeout", "inf"],
        ["--limit", "99999999999999999999"],
        ["--deadline", "9" * 400],
    ],
)
def test_number_beyond_all_bounds_is_a_mistake_in_the_flag(flags: list[str]) -> None:
    with pytest.raises(SettingsError, match=f"{flags[0]} takes "):
        settings("--sandbox", *flags)


def test_number_beyond_all_bounds_in_the_environment_is_a_mistake_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_QPS", "inf")

    with pytest.raises(SettingsError, match="--qps takes "):
        settings("--sandbox")


def test_flags_of_a_rehearsal_reach_their_settings() -> None:
    made = settings("--sandbox", "--faults", "throttle=5%", "--seed", "7")

    assert made == Settings(sandbox=True, sandbox_faults="throttle=5%", sandbox_seed=7)


@pytest.mark.parametrize("flags", [["--faults", "throttle=5%"], ["--seed", "0"]])
def test_rehearsed_faults_are_refused_where_nothing_is_rehearsed(
    flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_ENDPOINT", "https://h/")

    with pytest.raises(SettingsError, match="add --sandbox"):
        settings(*flags)


@pytest.mark.parametrize("command", ["run", "plan", "doctor", "settings"])
def test_faults_that_cannot_be_read_are_a_mistake_before_anything_is_begun(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName\n", encoding="utf-8")

    exit_code = main([command, *([str(source)] if command in {"run", "plan"} else []), "--sandbox", "--faults", "5%"])

    assert exit_code == 2
    assert "--faults" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("source", "says"),
    [("", "INPUT is empty: name a file, or - for stdin"), (".", "this is a folder; name a file in it")],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_input_that_is_no_file_is_called_what_it_is(
    command: str, source: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, source, "--sandbox", "--ledger", str(tmp_path / "l.db")]) == 2
    assert says in capsys.readouterr().err
