from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from bulk.account_settings import AccountSettings
from bulk.cli.app import main
from bulk.cli.run import run
from bulk.settings import ReadSettings, Settings
from bulk.settings_keys import ACCOUNT_KEYS, KEYS, NOT_IN_A_FILE

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
        (("--region", "cn-x", "--seed", "3"), "--faults and --seed are for a rehearsal, and this would not be one"),
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
