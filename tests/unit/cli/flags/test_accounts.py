from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bulk.cli.app import app, main
from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import settings_options
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = """
list_qps = 4
[accounts.cn]
region = "cn-shanghai"
qps = 8
list_qps = 2
[accounts.tuya]
endpoint = "https://si.tuyacloud.com:8686/"
dialect = "tuya"
"""
CN = AccountSettings(region="cn-shanghai", qps=8.0, list_qps=2.0)
TUYA = AccountSettings(endpoint="https://si.tuyacloud.com:8686/", dialect=Dialect.TUYA)


@click.command
@settings_options
@click.pass_context
def command(ctx: click.Context, /, **_flags: object) -> Settings:
    return settings_of(ctx)


@pytest.fixture(autouse=True)
def _settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bulk.toml").write_text(FILE, encoding="utf-8")
    Path("in.csv").write_text("Account,ProductKey,ModuleName\n", encoding="utf-8")


def settings(*arguments: str) -> Settings:
    made = command.main(list(arguments), standalone_mode=False)
    assert isinstance(made, Settings)
    return made


def test_accounts_of_the_file_reach_the_settings() -> None:
    assert settings() == Settings(list_qps=4.0, accounts={"cn": CN, "tuya": TUYA})


def test_chosen_accounts_may_be_repeated() -> None:
    made = settings("--account", "tuya", "--account", " cn", "--account", "tuya")

    assert made.only_accounts == ("tuya", "cn")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CN", "--account 'CN': there is no such account; did you mean 'cn'?"),
        ("tuja", "--account 'tuja': there is no such account; did you mean 'tuya'?"),
        ("xyz", "--account 'xyz': there is no such account; `bulk settings` shows the 2 that there are"),
        ("", "--account '': there is no such account"),
    ],
)
@pytest.mark.parametrize("arguments", [("run", "in.csv"), ("plan", "in.csv"), ("doctor",), ("settings",)])
def test_account_that_is_not_there_is_exit_2_with_the_nearest_name(
    arguments: tuple[str, ...], name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().iterdir())

    assert main([*arguments, "--account", name]) == 2
    assert says in capsys.readouterr().err
    assert sorted(Path().iterdir()) == before


def test_account_without_any_accounts_says_where_to_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bulk.toml").unlink()

    assert main(["run", "in.csv", "--account", "cn", "--region", "cn-shanghai"]) == 2
    assert "--account 'cn': the settings name no accounts: write [accounts.NAME]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "variable", "value", "key"),
    [
        ("--endpoint", "BULK_ENDPOINT", "https://h/", "endpoint"),
        ("--region", "BULK_REGION", "cn-shanghai", "region"),
        ("--instance-id", "BULK_INSTANCE_ID", "iot-1", "instance_id"),
        ("--profile", None, "nightly", "credentials_profile"),
    ],
)
@pytest.mark.parametrize("arguments", [("run", "in.csv"), ("plan", "in.csv", "--offline"), ("doctor",), ("settings",)])
def test_flag_or_variable_of_one_account_is_exit_2_beside_accounts(
    arguments: tuple[str, ...],
    flag: str,
    variable: str | None,
    value: str,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, flag, value]) == 2
    assert (
        f"{flag} is for a run without accounts, and ./bulk.toml has 2: leave it out, and write {key} below "
        "[accounts.NAME]" in capsys.readouterr().err
    )
    if variable:
        monkeypatch.setenv(variable, value)
        assert main([*arguments, "--account", "cn"]) == 2
        assert f"{variable} is for a run without accounts, and ./bulk.toml has 2: unset {variable}, and write" in (
            capsys.readouterr().err
        )


def test_rates_by_flag_or_variable_are_those_of_every_rate_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_LIST_QPS", "3")

    made = settings("--qps", "5")

    assert (made.qps, made.list_qps) == (5.0, 3.0)
    assert {(account.qps, account.list_qps) for account in made.accounts.values()} == {(None, None)}


def test_dialect_that_contradicts_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings("--dialect", "tuya").dialect is Dialect.TUYA
    with pytest.raises(SettingsError, match="--dialect contradicts account 'tuya', whose dialect is tuya: leave it"):
        settings("--dialect", "alibaba")
    monkeypatch.setenv("BULK_DIALECT", "alibaba")
    with pytest.raises(SettingsError, match=r"BULK_DIALECT contradicts account 'tuya', .* unset BULK_DIALECT"):
        settings()


def test_keys_that_only_the_file_gives_reach_the_settings() -> None:
    Path("bulk.toml").write_text('key_env = "A"\nsample_product = "a1"\nrate_group = "g"\n', encoding="utf-8")

    assert settings() == Settings(key_env="A", sample_product="a1", rate_group="g")


def test_profile_by_flag_goes_before_variables_of_the_file() -> None:
    Path("bulk.toml").write_text('key_env = "A"\n', encoding="utf-8")

    assert settings("--profile", "p") == Settings(profile="p")


@pytest.mark.parametrize(
    ("arguments", "incomplete", "offered"),
    [([], "", ["cn", "tuya"]), ([], "t", ["tuya"]), (["--account", "cn"], "", ["tuya"])],
)
@pytest.mark.parametrize("name", ["run", "plan", "doctor", "settings"])
def test_shell_completes_accounts(
    name: str, arguments: list[str], incomplete: str, offered: list[str], complete: Callable[..., list[str]]
) -> None:
    assert complete(name, [*arguments, "--account"], incomplete) == offered


def test_shell_completes_nothing_from_a_broken_file(complete: Callable[..., list[str]]) -> None:
    Path("bulk.toml").write_text("accounts = 3\n", encoding="utf-8")

    assert complete("run", ["--account"], "") == []


@pytest.fixture
def complete() -> Callable[..., list[str]]:
    """Return what a shell would offer after these words of a command."""
    from click.shell_completion import ShellComplete

    def complete(name: str, words: list[str], incomplete: str) -> list[str]:
        shell = ShellComplete(app, {}, "bulk", "_BULK_COMPLETE")
        return [item.value for item in shell.get_completions([name, *words], incomplete)]

    return complete
