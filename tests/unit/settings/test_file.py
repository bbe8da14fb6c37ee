from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings.account import AccountSettings
from bulk.settings.file import FileValue, find_file, profile_names, read_file, read_profile
from bulk.settings.keys import ACCOUNT_KEYS, KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

TWO_PROFILES = """
qps = 5
region = "cn-shanghai"

[columns]
ProductKey = "pk"

[profiles.night]
endpoint = "https://h"
deadline = "1h30m"

[profiles."by day"]
qps = 2.5
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what writes ``./bulk.toml``."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("bulk.toml").write_text(text, encoding="utf-8")
        return Path("bulk.toml")

    return write


def test_keys_at_the_top_hold_for_everyone(write: Callable[[str], Path]) -> None:
    assert read_profile(write(TWO_PROFILES), None) == {
        "qps": FileValue("5", "./bulk.toml"),
        "region": FileValue("cn-shanghai", "./bulk.toml"),
        "columns": FileValue(("ProductKey=pk",), "./bulk.toml"),
    }


def test_profile_goes_before_the_top(write: Callable[[str], Path]) -> None:
    values = read_profile(write(TWO_PROFILES), "by day")

    assert values["qps"] == FileValue("2.5", "profile 'by day' of ./bulk.toml")
    assert values["region"].value == "cn-shanghai"


def test_profile_that_names_a_place_goes_nowhere_else(write: Callable[[str], Path]) -> None:
    values = read_profile(write(TWO_PROFILES), "night")

    assert values["endpoint"].value == "https://h"
    assert "region" not in values


def test_profile_that_wants_no_sandbox_keeps_the_place_of_the_top(write: Callable[[str], Path]) -> None:
    values = read_profile(write('region = "r"\n[profiles.real]\nsandbox = false\n'), "real")

    assert (values["region"].value, values["sandbox"].value) == ("r", False)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("list-qps = 1", "there is no setting 'list-qps'; did you mean list_qps?"),
        ("frobnicate = 1", "there is no setting 'frobnicate'; there are endpoint, "),
        ('qps = "5"', "qps takes a number, without quotes"),
        ("qps = true", "qps takes a number, without quotes"),
        ("qps = -1", "qps takes 0 (unlimited) or 0.001 to 1,000,000"),
        ("qps = inf", "qps takes 0 (unlimited) or 0.001 to 1,000,000"),
        ("list_qps = -1", "list_qps takes 0 (unlimited) or 0.001 to 1,000,000"),
        ("concurrency = 2.5", "concurrency takes a whole number, without quotes"),
        ("max_attempts = 0", "max_attempts takes 1 to 1,000,000"),
        ("timeout = 0", "timeout takes more than 0 and at most 86,400 seconds"),
        ('deadline = "soon"', "deadline 'soon' is not a duration; write 90s, 30m or 1h30m"),
        ("max_failures = true", "max_failures takes a number"),
        ('max_failures = "many"', "max_failures 'many' is neither a number of rows"),
        ("region = 1", "region takes text in quotes"),
        ('instance_id = ""', "instance_id must not be empty"),
        ('dialect = "tuja"', "dialect 'tuja' is none of tuya, alibaba"),
        ('delimiter = ";;"', "delimiter ';;' is not one character"),
        ("lenient_alias = 1", "lenient_alias takes true or false"),
        ("columns = 3", "columns takes a table"),
        ("columns = { Desc = 3 }", "columns takes a table"),
        ('ledger = "l.db"', "ledger is not allowed in a settings file: a ledger belongs to one input"),
        (
            'profile = "x"',
            "profile is not allowed in a settings file: choose one of this file's with --settings-profile",
        ),
        ("limit = 5", "limit is not allowed in a settings file: it is for one run, not for all"),
        ("only = ['a1*']", "only is not allowed in a settings file: it is for one run, not for all"),
        ('format = "csv"', "format is not allowed in a settings file: each input has its own"),
        (
            'faults = "html=5%"',
            "faults is not allowed in a settings file: it is for one rehearsal, not for all",
        ),
        ("seed = 3", "seed is not allowed in a settings file: it is for one rehearsal, not for all"),
        (
            "insecure-http = true",
            "insecure-http is not allowed in a settings file: an unencrypted run must be allowed each time",
        ),
        (
            "insecure_http = true",
            "insecure_http is not allowed in a settings file: an unencrypted run must be allowed each time",
        ),
    ],
)
@pytest.mark.parametrize(("header", "where"), [("", ""), ("[profiles.x]", ", profile 'x'")])
def test_mistake_is_told_with_its_line_whichever_profile_is_chosen(
    write: Callable[[str], Path], header: str, where: str, line: str, says: str
) -> None:
    path = write(f"log_file = 'l'\n{header}\n{line}\n")

    with pytest.raises(SettingsError) as told:
        read_profile(path, None)

    assert str(told.value).startswith(f"./bulk.toml, line 3{where}: {says}")


@pytest.mark.parametrize("key", ["access_key_secret", "AccessKeyId", "security_token", "password", "my-secret"])
def test_secret_is_refused_and_not_repeated(write: Callable[[str], Path], key: str) -> None:
    path = write(f'{key} = "hush"')

    with pytest.raises(SettingsError, match="because it is a secret") as told:
        read_profile(path, None)

    assert "hush" not in str(told.value)


def test_mistake_in_a_table_is_told_with_its_line(write: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match=r"line 3, profile 'x': columns takes"):
        read_profile(write("[profiles.x]\nqps = 1\n[profiles.x.columns]\nDesc = 3\n"), None)


def test_mistake_whose_line_cannot_be_told_is_told_without(write: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match=r"^./bulk.toml, profile 'x': qps takes"):
        read_profile(write("profiles.x.qps = true"), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[profiles.prod]\nqps = 1", "there is no profile 'prd'; did you mean 'prod'"),
        ("[profiles.something]\n", "there is no profile 'prd'; it has 'something'"),
        ("qps = 1", r"there is no profile 'prd'; it has none; write \[profiles.prd\]"),
        ("profiles = 3", r"write \[profiles.NAME\]"),
        ("profiles.x = 3", r"write \[profiles.NAME\]"),
        ("qps =\n", "is not TOML: .*line 1"),
    ],
)
def test_profile_that_is_not_there_is_told_with_those_that_are(
    write: Callable[[str], Path], text: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        read_profile(write(text), "prd")


def test_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "utf16.toml").write_text("qps = 1", encoding="utf-16")

    with pytest.raises(SettingsError, match="can't be read: No such file"):
        read_profile(tmp_path / "missing.toml", None)
    with pytest.raises(SettingsError, match="save it as UTF-8"):
        read_profile(tmp_path / "utf16.toml", None)


def test_windows_editors_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bulk.toml"
    path.write_text("[profiles.a]\n[profiles.b]\n", encoding="utf-8-sig")

    assert profile_names(path) == ("a", "b")


def test_file_of_the_working_folder_stands_in_for_the_users(write: Callable[[str], Path], tmp_path: Path) -> None:
    users = tmp_path / "config" / "bulk" / "bulk.toml"
    users.parent.mkdir(parents=True)
    users.touch()
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": "/nonexistent"}

    assert find_file(None, environ) == users
    assert find_file(None, environ | {"XDG_CONFIG_HOME": "relative"}) is None
    assert find_file(None, {}) is None
    assert find_file(None, environ) != write("") == find_file(None, environ)
    assert find_file("named.toml", environ) == Path("named.toml")


def test_users_file_stands_below_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".config" / "bulk" / "bulk.toml"
    path.parent.mkdir(parents=True)
    path.touch()

    assert find_file(None, {"HOME": str(tmp_path)}) == path


def test_no_key_names_a_secret() -> None:
    assert not [key for key in KEYS if "secret" in key or "token" in key]


@pytest.mark.parametrize("key", ["region", "endpoint", "instance_id", "credentials_profile", "log_file", "encoding"])
def test_control_character_is_refused_with_its_line(key: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match=f"line 2: {key} holds a carriage return") as caught:
        read_profile(write(f'qps = 5\n{key} = "x\\r"\n'), None)

    assert "\r" not in str(caught.value)


def test_words_for_nothing_are_a_text_or_a_list(write: Callable[[str], Path]) -> None:
    assert read_profile(write('null = "NULL"'), None)["null_texts"].value == ("NULL",)
    assert read_profile(write('null = ["NULL", ""]'), None)["null_texts"].value == ("NULL", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [("null = 0", "takes a list of texts"), ("null = [0]", "takes a list of texts"), ("skip_lines = -1", "takes 0 to")],
)
def test_how_the_input_is_read_is_checked_too(write: Callable[[str], Path], line: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        read_profile(write(line), None)


def test_place_that_can_not_be_looked_at_is_said_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "bulk" / "bulk.toml"
    users.parent.mkdir()
    users.write_text("qps = 5", encoding="utf-8")
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if path == Path("bulk.toml"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    said: list[str] = []

    assert find_file(None, {"XDG_CONFIG_HOME": str(tmp_path)}, on_hidden=said.append) == users
    (message,) = said
    assert message.startswith("No settings are taken from ./bulk.toml: its folder can't be looked into")


THREE_ACCOUNTS = """
qps = 5
[accounts.cn]
region = "cn-shanghai"
instance_id = "iot-1"
key_env = "CN"
qps = 8
rate_group = "1234567890"
[accounts."by name"]
endpoint = "https://si.tuyacloud.com:8686/"
dialect = "tuya"
credentials_profile = "nightly"
[accounts."工厂"]
region = "cn-beijing"
role_arn = "acs:ram::1:role/r"
external_id = "t"
sample_product = "a1"
"""


def test_accounts_say_of_themselves_what_they_say(write: Callable[[str], Path]) -> None:
    accounts = read_file(write(THREE_ACCOUNTS), None).accounts

    assert accounts == {
        "cn": AccountSettings(
            region="cn-shanghai", instance_id="iot-1", key_env="CN", qps=8.0, rate_group="1234567890"
        ),
        "by name": AccountSettings(endpoint="https://si.tuyacloud.com:8686/", dialect=Dialect.TUYA, profile="nightly"),
        "工厂": AccountSettings(
            region="cn-beijing", role_arn="acs:ram::1:role/r", external_id="t", sample_product="a1"
        ),
    }
    assert [account.place for account in accounts.values()] == [
        "./bulk.toml, line 3",
        "./bulk.toml, line 9",
        "./bulk.toml, line 13",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("list-qps = 1", "there is no setting 'list-qps'; did you mean list_qps?"),
        ("frobnicate = 1", "there is no setting 'frobnicate'; there are endpoint, region, dialect, "),
        ('qps = "5"', "qps takes a number, without quotes"),
        ("qps = -1", "qps takes 0 (unlimited) or 0.001 to 1,000,000"),
        ("list_qps = inf", "list_qps takes 0 (unlimited) or"),
        ("region = 1", "region takes text in quotes"),
        ('rate_group = ""', "rate_group must not be empty"),
        ('rate_group = " g"', "rate_group takes 1 to 64 characters, without spaces at its ends"),
        ('dialect = "tuja"', "dialect 'tuja' is none of tuya, alibaba"),
        ('key_env = "CN-KEY"', "key_env 'CN-KEY' can't begin a variable's name: write it with letters, digits and _"),
        ('role_arn = "nightly"', "role_arn 'nightly' is not the name of a role: write acs:ram::UID:role/NAME"),
        ('external_id = "a b"', "external_id holds a space: remove it"),
        ('sample_product = "a1\\t"', "sample_product holds a tab"),
        ('instance_id = "iot 1"', "instance_id holds a space"),
        ("concurrency = 5", "concurrency is for the whole run, not for one account: write it at the top of the file"),
        ("sandbox = true", "sandbox is for the whole run, not for one account"),
        ('ledger = "l.db"', "ledger is not allowed in a settings file: a ledger belongs to one input"),
        ('profile = "x"', "profile is not allowed in a settings file: choose one of this file's"),
    ],
)
def test_mistake_in_an_account_is_told_with_line_account_and_key(
    write: Callable[[str], Path], line: str, says: str
) -> None:
    path = write(f"log_file = 'l'\n[accounts.\"the first\"]\nregion = 'cn-x'\n[accounts.cn]\n{line}\n")

    with pytest.raises(SettingsError) as told:
        read_profile(path, None)

    assert str(told.value).startswith(f"./bulk.toml, line 5, account 'cn': {says}")


@pytest.mark.parametrize("key", ["access_key_secret", "AccessKeyId", "security_token", "password", "CN_ACCESS_KEY_ID"])
def test_secret_of_an_account_is_refused_with_the_place_for_it(write: Callable[[str], Path], key: str) -> None:
    with pytest.raises(SettingsError) as told:
        read_profile(write(f'[accounts.cn]\n{key} = "hush"'), None)

    assert f"line 2, account 'cn': {key} is not allowed in a settings file, because it is a secret" in str(told.value)
    assert 'FACTORY_ACCESS_KEY_SECRET, write key_env = "FACTORY"' in str(told.value)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("key", ["LTAI5tHush", "hush6QxY0aBcD3fGhJkLmN8pQrStUv", "hush/6QxY0aBcD3fGhJkLmN8pQrSt"])
def test_key_in_the_place_of_its_variable_is_not_shown(write: Callable[[str], Path], key: str) -> None:
    with pytest.raises(SettingsError, match=r"line 2, account 'cn': key_env .*write it with letters") as told:
        read_profile(write(f'[accounts.cn]\nkey_env = "{key}"'), None)

    assert "ush" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[accounts.a]\nregion = 'x'\nendpoint = 'https://h'",
            "./bulk.toml, line 1, account 'a': endpoint and region exclude each other",
        ),
        (
            "\n[accounts.a]\nkey_env = 'A'\ncredentials_profile = 'a'",
            "./bulk.toml, line 2, account 'a': credentials_profile and key_env both say where the keys are",
        ),
        ("[accounts]\nregion = 'x'", "./bulk.toml: accounts are tables: write [accounts.NAME] and its keys below"),
        (
            "[accounts.工厂]",
            "is not TOML: Invalid initial character for a key part (at line 1, column 11); write names",
        ),
        ("[[accounts]]\nregion = 'x'", "./bulk.toml: accounts are tables: write [accounts.NAME]"),
        ("[account.cn]\nregion = 'x'", "./bulk.toml, line 1: there is no table 'account': write [accounts.NAME]"),
        ("account = 'cn'", "./bulk.toml, line 1: account is not allowed in a settings file: it is for one run"),
        ("[acounts.cn]\nregion = 'x'", "./bulk.toml, line 1: there is no setting 'acounts'; did you mean accounts?"),
        (
            "[accounts.cn.north]\nregion = 'x'",
            "./bulk.toml, line 1, account 'cn': there is no setting 'north'; a name with a dot is written in quotes",
        ),
        (
            "[profiles.night.accounts.cn]\nregion = 'x'",
            "./bulk.toml, line 1, profile 'night': accounts are the same for every profile",
        ),
        ("[accounts.cn]\n[accounts.CN]\n", "./bulk.toml, line 2: accounts 'cn' and 'CN' look alike"),
        ("[accounts.cn]\n[accounts.'ｃｎ']\n", "./bulk.toml, line 2: accounts 'cn' and 'ｃｎ' look alike"),
        ("[accounts.'']\n", "./bulk.toml, line 1: account '' has no name"),
        (
            "[accounts.' cn']\n",
            "./bulk.toml, line 1: account ' cn' begins or ends with a space or an invisible character",
        ),
        ('[accounts."c\\tn"]\n', "./bulk.toml, line 1: account 'c\\tn' holds an invisible character"),
        ('[accounts."c\\u200bn"]\n', "./bulk.toml, line 1: account 'c\\u200bn' holds an invisible"),
        (f"[accounts.{'n' * 65}]\n", f"./bulk.toml, line 1: account '{'n' * 65}' has 65 characters: 64 are allowed"),
        ('[accounts."e\\u0301"]\n', "has letters and their accents as separate characters: type the name again"),
        ("accounts = { cn = { qps = true } }", "./bulk.toml, account 'cn': qps takes a number"),
        ("[accounts]\nde = {}\ncn = { qps = true }", "./bulk.toml, line 3, account 'cn': qps takes a number"),
        ("[accounts]\nde.qps = 5\ncn.qps = true", "./bulk.toml, line 3, account 'cn': qps takes a number"),
        ("[profiles.cn]\nqps = 5\n[accounts.cn]\nqps = true", "./bulk.toml, line 4, account 'cn': qps takes a "),
    ],
)
def test_accounts_that_cannot_be_meant_are_refused_with_their_place(
    write: Callable[[str], Path], text: str, says: str
) -> None:
    with pytest.raises(SettingsError) as told:
        read_profile(write(text), None)

    assert says in str(told.value)


def test_profile_is_what_accounts_take_their_defaults_from(write: Callable[[str], Path]) -> None:
    found = read_file(
        write("key_env = 'A'\nqps = 1\n[profiles.x]\ncredentials_profile = 'p'\n[accounts.cn]\nqps = 3\n"), "x"
    )

    assert "key_env" not in found.values
    assert found.values["profile"].value == "p"
    assert found.accounts == {"cn": AccountSettings(qps=3.0)}


def test_every_key_of_an_account_can_be_every_accounts_default() -> None:
    assert ACCOUNT_KEYS.items() <= KEYS.items()
