from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main
from bulk.cli.commands.run import run
from bulk.cli.commands.settings import settings as settings_command
from bulk.cloud.keys.sources import KeysSource, open_credentials
from bulk.events import CredentialsFound, CredentialsNotRenewed
from bulk.settings import ReadSettings, Settings
from bulk.settings.account import AccountSettings
from bulk.settings.keys import ACCOUNT_KEYS, KEYS, NOT_IN_A_FILE

if TYPE_CHECKING:
    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.events import Listener

SECRET = "s3cr3tS3cr3tS3cr3t"
FILE = """
qps = 5
timeout = 3
[profiles.night]
region = "cn-shanghai"
qps = 8
list_qps = 4
deadline = "1h30m"
max_failures = "2%"
delimiter = "tab"
columns = { ProductKey = "pk", Desc = "note" }
"""


@pytest.fixture(autouse=True)
def _settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # Without them, keys would be looked for on the network.
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI5tPublicButLong")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
    Path("bulk.toml").write_text(FILE, encoding="utf-8")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[object, str]]:
    assert main(["settings", "--json", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    return {name: (each["value"], each["origin"]) for name, each in printed.items()}


def test_flag_goes_before_environment_before_profile_before_top_before_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_LIST_QPS", "6")
    monkeypatch.setenv("BULK_CONCURRENCY", "9")

    settings = shown(capsys, "--settings-profile", "night", "--concurrency", "3")

    assert settings["concurrency"] == (3, "flag --concurrency")
    assert settings["list_qps"] == (6.0, "environment BULK_LIST_QPS")
    assert settings["qps"] == (8.0, "profile 'night' of ./bulk.toml")
    assert settings["timeout"] == (3.0, "./bulk.toml")
    assert settings["max_attempts"] == (6, "default")


def test_values_of_the_file_are_read_as_flags_are(capsys: pytest.CaptureFixture[str]) -> None:
    settings = shown(capsys, "--settings-profile", "night")

    assert settings["deadline"][0] == 5400
    assert settings["max_failures"][0] == "2%"
    assert settings["delimiter"][0] == "\t"
    assert settings["columns"] == ({"ProductKey": "pk", "Desc": "note"}, "profile 'night' of ./bulk.toml")


@pytest.mark.parametrize(("flag", "place"), [("--sandbox", "sandbox"), ("--endpoint=https://h/", "endpoint")])
def test_place_by_flag_beats_another_place_of_the_profile(
    flag: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = shown(capsys, "--settings-profile", "night", flag)

    assert settings[place][1].startswith("flag")
    assert "region" not in settings


def test_place_by_environment_beats_another_place_of_the_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_ENDPOINT", "https://h/")

    settings = shown(capsys, "--settings-profile", "night")

    assert settings["endpoint"] == ("https://h/", "environment BULK_ENDPOINT")
    assert "region" not in settings


@pytest.mark.parametrize(
    "arguments",
    [("--settings", "other.toml", "--settings-profile", "x"), ("--settings-profile", "x", "--settings", "other.toml")],
)
def test_file_and_profile_may_be_named_in_any_order(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.toml").write_text("[profiles.x]\nqps = 1\n", encoding="utf-8")

    assert shown(capsys, *arguments)["qps"] == (1.0, "profile 'x' of other.toml")


def test_file_and_profile_may_be_named_by_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("other.toml").write_text("[profiles.x]\nqps = 1\n", encoding="utf-8")
    monkeypatch.setenv("BULK_SETTINGS", "other.toml")
    monkeypatch.setenv("BULK_SETTINGS_PROFILE", "x")

    assert shown(capsys)["qps"][0] == 1.0


def test_profile_without_any_file_says_where_it_was_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bulk.toml").unlink()

    exit_code = main(["settings", "--settings-profile", "night"])

    assert exit_code == 2
    assert "neither ./bulk.toml and" not in (printed := capsys.readouterr().err)
    assert "./bulk.toml nor " in printed
    assert "config/bulk/bulk.toml" in printed


def test_mistake_in_the_file_is_exit_2_of_every_command_that_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bulk.toml").write_text("qsp = 5\n", encoding="utf-8")

    exit_codes = [main([command, "in.csv", "--sandbox"]) for command in ("run", "plan")]

    assert exit_codes == [2, 2]
    assert capsys.readouterr().err.count("./bulk.toml, line 1: there is no setting 'qsp'; did you mean qps?") == 2


def test_help_is_shown_whatever_is_in_the_file() -> None:
    Path("bulk.toml").write_text("qsp = 5\n", encoding="utf-8")

    assert main(["run", "--help"]) == 0


def test_no_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ([], ["--json"]):
        main(["settings", *form, "--endpoint", f"https://user:{SECRET}@h/"])

        printed = capsys.readouterr().out
        assert "LTAI" in printed
        assert "https://***@h/" in printed
        assert SECRET not in printed
        assert "LTAI5" not in printed


@pytest.mark.parametrize("endpoint", [f"user:{SECRET}@h:8686", f"h:8686/?Action=x&Signature={SECRET}"])
def test_no_secret_of_an_address_without_scheme_is_shown(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ([], ["--json"]):
        main(["settings", *form, "--endpoint", endpoint])

        assert SECRET not in capsys.readouterr().out


def test_screen_has_a_line_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    main(["settings", "--sandbox", "--settings-profile", "night"])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("sandbox", "qps", "lenient"))] == [
        ["sandbox", "true", "flag", "--sandbox"],
        ["qps", "8", "profile", "'night'", "of", "./bulk.toml"],
        ["lenient_alias", "false", "default"],
        ["lenient_keys", "false", "default"],
    ]
    assert any(line.startswith("access_key_id") and line.endswith("the sandbox's own") for line in lines)


def test_every_key_of_the_file_is_an_option_of_run_or_says_that_it_is_none() -> None:
    parameters = {parameter.name for parameter in run.params}

    assert {key.option for key in KEYS.values() if key.has_flag} <= parameters
    assert not {key.option for key in KEYS.values() if not key.has_flag} & parameters


def test_every_key_of_an_account_is_a_field_of_it() -> None:
    of_account = {field.name for field in fields(AccountSettings)} - {"place"}

    assert {key.option for key in ACCOUNT_KEYS.values()} == of_account
    assert of_account <= {field.name for field in fields(Settings)}


def test_every_setting_has_a_flag_and_is_a_key_of_the_file_or_says_why_not() -> None:
    named = {max(parameter.opts, key=len)[2:].replace("-", "_"): parameter.name for parameter in run.params}
    settings = {field.name for kind in (Settings, ReadSettings) for field in fields(kind)} - {"read"}

    in_file = {key.option for key in KEYS.values()}
    refused = {named[flag] for flag in NOT_IN_A_FILE}

    file_alone = {key.option for key in KEYS.values() if not key.has_flag} | {"accounts"}  # of tables of its own
    assert settings - file_alone <= set(named.values())
    assert settings - in_file - {"accounts"} == refused - in_file
    assert refused & in_file == {KEYS["credentials_profile"].option}  # which the reason names
    assert not KEYS.keys() & NOT_IN_A_FILE.keys()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--qps", "-1"), "--qps takes 0 (unlimited)"),
        (("--timeout", "0"), "--timeout takes more than 0"),
        (("--skip-lines", "-1"), "--skip-lines takes 0 to"),
        (("--max-failures", "many"), "--max-failures 'many' is neither"),
        (("--delimiter", ";;"), "--delimiter ';;' is not one character"),
        (("--instance-id", "iot 1"), "--instance-id holds a space"),
        (("--endpoint", "https://h/", "--sandbox"), "--endpoint and --sandbox exclude each other"),
        (("--region", "cn-x", "--seed", "3"), "--faults and --seed require --sandbox"),
    ],
)
def test_setting_is_named_by_its_flag_on_the_command_line(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "in.csv", *arguments]) == 2

    assert says in capsys.readouterr().err


def test_keys_that_are_not_there_are_told_and_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    value, origin = shown(capsys, "--profile", "nobody")["access_key_id"]

    assert value is None
    assert origin.startswith("none: ")


ACCOUNTS = """
region = "cn-shanghai"
list_qps = 3
[profiles.night]
sts_endpoint = "sts.example"
[accounts.cn]
key_env = "CN"
qps = 8
[accounts.tuya]
endpoint = "https://si.tuyacloud.com:8686/"
key_env = "TUYA"
"""


@pytest.fixture
def _accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bulk.toml").write_text(ACCOUNTS, encoding="utf-8")
    monkeypatch.setenv("CN_ACCESS_KEY_ID", "LTAI5tOfCn")
    monkeypatch.setenv("CN_ACCESS_KEY_SECRET", SECRET)


def shown_of_accounts(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, tuple[object, str]]]:
    assert main(["settings", "--json", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)["accounts"]
    return {
        name: {key: (each["value"], each["origin"]) for key, each in account.items()}
        for name, account in printed.items()
    }


@pytest.mark.usefixtures("_accounts")
def test_each_setting_of_an_account_says_where_it_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_LIST_QPS", "6")

    accounts = shown_of_accounts(capsys, "--settings-profile", "night")

    assert list(accounts) == ["cn", "tuya"]
    assert accounts["cn"].keys() - {"access_key_id"} == ACCOUNT_KEYS.keys()
    assert accounts["cn"]["region"] == ("cn-shanghai", "./bulk.toml")
    assert accounts["cn"]["qps"] == (8.0, "account 'cn' of ./bulk.toml")
    assert accounts["cn"]["list_qps"] == (6.0, "environment BULK_LIST_QPS")
    assert accounts["cn"]["sts_endpoint"] == ("sts.example", "profile 'night' of ./bulk.toml")
    assert accounts["tuya"]["qps"] == (10.0, "default")
    assert accounts["tuya"]["region"][0] is None
    assert accounts["cn"]["access_key_id"] == ("LTAI…", "environment variables CN_…")
    assert accounts["tuya"]["access_key_id"][0] is None
    assert accounts["tuya"]["access_key_id"][1].startswith(
        "none: TUYA_ACCESS_KEY_ID and TUYA_ACCESS_KEY_SECRET are not"
    )


@pytest.mark.usefixtures("_accounts")
def test_screen_has_a_line_an_account_and_of_the_only_one_all_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    of_two = capsys.readouterr().out.splitlines()[-2:]
    assert main(["settings", "--account", "cn", "--qps", "0"]) == 0
    of_one = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("cn.")]

    assert [line.split()[:3] for line in of_two] == [
        ["account", "cn", "key_env=CN,"],
        ["account", "tuya", "endpoint=https://si.tuyacloud.com:8686/,"],
    ]
    assert of_two[0].endswith("./bulk.toml, line 6; key LTAI… from environment variables CN_…")
    assert "./bulk.toml, line 9; no key: TUYA_ACCESS_KEY_ID" in of_two[1]
    assert ["cn.qps", "0", "flag", "--qps"] in of_one
    assert of_one[-1][:2] == ["cn.access_key_id", "LTAI…"]


@pytest.mark.usefixtures("_accounts")
def test_no_secret_of_an_account_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ([], ["--json"], ["--account", "cn"]):
        main(["settings", *form])

        printed = capsys.readouterr().out
        assert SECRET not in printed
        assert "LTAI5" not in printed


@pytest.mark.usefixtures("_accounts")
def test_role_is_shown_and_not_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("bulk.toml").open("a", encoding="utf-8") as file:
        file.write("[accounts.eu]\nkey_env = 'CN'\nrole_arn = 'acs:ram::1:role/r'\nsts_endpoint = '127.0.0.1:1'\n")

    accounts = shown_of_accounts(capsys, "--account", "eu")

    assert accounts["eu"]["role_arn"][0] == "acs:ram::1:role/r"
    assert accounts["eu"]["access_key_id"] == ("LTAI…", "environment variables CN_…")


@pytest.mark.usefixtures("_accounts")
def test_accounts_that_contradict_each_other_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("bulk.toml").open("a", encoding="utf-8") as file:
        file.write("[accounts.cn-too]\nkey_env = 'CN'\n")

    assert main(["settings"]) == 2
    assert "accounts 'cn' and 'cn-too' are the same: same endpoint, instance and key" in capsys.readouterr().err


def test_help_names_every_key_of_an_account() -> None:
    assert ", ".join(ACCOUNT_KEYS) in (settings_command.epilog or "")


def test_keys_without_a_flag_are_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bulk.toml").write_text('key_env = "CN"\nsts_endpoint = "https://u:p@sts.example"\n', encoding="utf-8")

    settings = shown(capsys)

    assert settings["key_env"] == ("CN", "./bulk.toml")
    assert settings["sts_endpoint"] == ("https://***@sts.example", "./bulk.toml")
    assert settings["rate_group"] == (None, "default")


@pytest.mark.usefixtures("_accounts")
def test_keys_of_a_rehearsal_are_the_sandboxs_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--sandbox"]) == 0

    of_accounts = capsys.readouterr().out.splitlines()[-2:]
    assert [line.rpartition("; ")[2] for line in of_accounts] == ["key: the sandbox's own"] * 2


def test_list_is_shown_by_its_texts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--null", "NULL", "--null", "n/a"]) == 0

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("null ")]
    assert line.split(maxsplit=1)[1].startswith("'NULL', 'n/a'  ")


@pytest.mark.parametrize("accounts", [False, True])
def test_key_is_shown_with_the_place_where_it_was_found_whatever_else_happens(
    accounts: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if accounts:
        request.getfixturevalue("_accounts")
    opened = KeysSource(key_env="CN")

    async def open_slowly(_source: KeysSource, *, listener: Listener, **_: Any) -> CredentialProvider:
        keys = await open_credentials(opened, environ={"CN_ACCESS_KEY_ID": "LTAIlate", "CN_ACCESS_KEY_SECRET": "s"})
        listener(CredentialsFound("a slow source"))
        listener(CredentialsNotRenewed("no answer"))
        return keys

    for place in ("bulk.engine.accounts", "bulk.engine.sessions.connect"):
        monkeypatch.setattr(f"{place}.open_credentials", open_slowly)

    if accounts:
        assert shown_of_accounts(capsys)["cn"]["access_key_id"] == ("LTAI…", "a slow source")
    else:
        assert shown(capsys)["access_key_id"] == ("LTAI…", "a slow source")
