"""Places where Alibaba Cloud's tools keep keys, with a twin of the official library that knows no network."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alibabacloud_credentials.exceptions import CredentialException
from Tea.exceptions import RetryError

from bulk.cloud.keys import official_sources
from bulk.cloud.keys.credentials import Credentials
from bulk.cloud.keys.official_chain import OfficialChain
from bulk.cloud.keys.official_sources import NoKeysError, Source, default_sources
from bulk.errors import KeysUnavailableError, SettingsError

if TYPE_CHECKING:
    from bulk.cloud.keys.renewal import Found

URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
OIDC = {
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/var/run/token",
    "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/nightly",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/ack",
}


@dataclass
class Keys:
    """Keys, as the library has them."""

    key_id: str | None = "id"
    secret: str | None = "secret"
    token: str | None = "token"
    ends_at: int | None = 3600

    def get_access_key_id(self) -> str | None:
        return self.key_id

    def get_access_key_secret(self) -> str | None:
        return self.secret

    def get_security_token(self) -> str | None:
        return self.token

    def get_expiration(self) -> int | None:
        return self.ends_at


@dataclass
class Provider:
    """A provider of the library: gives its answers in order, the last one from then on."""

    answers: list[Keys | BaseException]
    told: dict[str, Any] = field(default_factory=dict)
    """What it was made with."""

    def get_credentials(self) -> Keys:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Library:
    """The library's module: each of its providers has the answers that a test gives for it, else no keys."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Keys | BaseException]] = {}
        self.made: list[tuple[str, Provider]] = []

    def __getattr__(self, kind: str) -> Any:
        def make(**told: Any) -> Provider:
            made = Provider(self.answers.get(kind, [CredentialException("it has none")]), told)
            self.made.append((kind, made))
            return made

        return make

    def told(self, kind: str) -> dict[str, Any]:
        (told,) = [made.told for name, made in self.made if name == kind]
        return told


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Library:
    twin = Library()
    monkeypatch.setattr(official_sources, "official", twin)
    monkeypatch.setattr(official_sources, "_OF_ALIBABA", tmp_path / "no-vendor")
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return twin


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def source_of(*answers: Keys | BaseException, **told: Any) -> Source:
    return Source("a source", lambda: Provider(list(answers)), **told)


def no_keys(source: Source) -> NoKeysError:
    with pytest.raises(NoKeysError) as caught:
        source.ask()
    return caught.value


def test_keys_are_found_with_their_place_and_their_end() -> None:
    found = source_of(Keys(" id\n", "secret", "token")).ask()

    assert (found.credentials, found.source, found.ends_at) == (Credentials("id", "secret", "token"), "a source", 3600)


def test_long_lived_keys_have_neither_token_nor_end() -> None:
    found = source_of(Keys(token="", ends_at=0)).ask()

    assert (found.credentials, found.ends_at) == (Credentials("id", "secret", None), None)


@pytest.mark.parametrize("keys", [Keys(key_id=""), Keys(secret=None)])
def test_half_a_key_is_none(keys: Keys) -> None:
    error = no_keys(source_of(keys))

    assert (str(error), error.is_passing) == ("it gave an empty key", False)


def test_key_that_was_written_wrongly_is_not_passed_over_for_another_place() -> None:
    with pytest.raises(SettingsError, match="a source: its secret has quotes") as caught:
        source_of(Keys(secret='"hidden"')).ask()

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "is_passing"),
    [
        (RetryError("GET https://sts/?Signature=hidden"), True),
        (CredentialException("error retrieving credentials from http://100.100.100.200"), True),
        (CredentialException("error refreshing credentials, httpCode: 503, result = x"), True),
        (CredentialException("error refreshing credentials, http_code: 429"), True),
        (CredentialException("status code: 408"), True),
        (CredentialException("error refreshing credentials, httpCode: 404"), False),
        (CredentialException("the role is not known"), False),
        (json.JSONDecodeError("Expecting value", "", 0), True),
        (AttributeError("'list' object has no attribute 'get'"), True),
        (KeyError("AccessKeyId"), True),
        (TypeError("unsupported operand"), True),
        (ValueError("time data 'soon' does not match format"), True),
        (ValueError("another value"), False),
        (ConnectionResetError(104, "Connection reset by peer"), True),
        (FileNotFoundError(2, "No such file"), False),
        (PermissionError(13, "Permission denied"), False),
    ],
)
def test_source_that_may_answer_later_is_told_from_one_that_has_nothing(error: Exception, is_passing: bool) -> None:
    found, elsewhere = no_keys(source_of(error)), no_keys(source_of(error, is_expected=False))

    assert found.is_passing == is_passing
    assert not elsewhere.is_passing, "where nobody expects keys, silence means that there are none"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RetryError("GET https://sts/?Signature=hidden"), "no answer"),
        (CredentialException("bad request\n  AccessKeySecret=hidden"), "bad request AccessKeySecret=***"),
        (ValueError(), "ValueError"),
    ],
)
def test_librarys_words_are_one_line_without_a_secret_and_its_error_is_gone(error: Exception, words: str) -> None:
    told = no_keys(source_of(error))

    assert str(told) == words
    assert (told.__cause__, told.__context__) == (None, None)


def test_proxies_that_the_library_asks_through_are_named_where_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:hidden@proxy:3128")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")

    assert str(no_keys(source_of(RetryError("x")))) == "no answer (HTTP_PROXY and HTTPS_PROXY are used)"


def test_library_remembers_its_keys_until_new_ones_are_asked_for() -> None:
    made: list[Provider] = []

    def make() -> Provider:
        made.append(Provider([Keys(key_id=f"id{len(made)}")]))
        return made[-1]

    source = Source("a source", make)

    asked = [source.ask(), source.ask(), source.ask(anew=True), source.ask()]

    assert [found.credentials.access_key_id for found in asked] == ["id0", "id0", "id1", "id1"]


def test_library_that_never_answered_is_set_up_again() -> None:
    silent, answering = Provider([Keys()]), Provider([Keys(key_id="id2")])
    providers = iter([silent, answering])
    source = Source("a source", lambda: next(providers))
    found: list[Found] = []

    def hang() -> Keys:
        found.append(source.ask())  # what another request asks while this call hangs
        raise RetryError("no answer")

    silent.get_credentials = hang  # type: ignore[method-assign]  # as a network that stays silent
    with pytest.raises(NoKeysError):
        source.ask()

    assert [each.credentials.access_key_id for each in found] == ["id2"]


def test_file_is_read_again_only_when_it_was_written(tmp_path: Path) -> None:
    file, made = tmp_path / "config.json", []

    def make() -> Provider:
        made.append(file.read_text(encoding="utf-8"))
        return Provider([Keys(key_id=made[-1])])

    source = Source("a file", make, file=file)
    assert str(no_keys(source)) == "there is no such file"
    file.write_text("first", encoding="utf-8")
    ids = [source.ask().credentials.access_key_id for _ in range(2)]
    file.write_text("second", encoding="utf-8")
    ids.append(source.ask().credentials.access_key_id)
    os.utime(file, ns=(1, 1))
    source.ask()

    assert ids == ["first", "first", "second"]
    assert made == ["first", "second", "second"]


def test_nothing_is_set_up_where_nothing_is_said(library: Library, home: dict[str, str]) -> None:
    reasons = {source.name: str(no_keys(source)) for source in default_sources(home)}

    assert list(reasons.values()) == [
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE, ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN not set",
        "there is no such file",
        "there is no such file",
        "it has none",
        "not set",
    ]
    # An ECS instance can't be recognized without asking its own address.
    assert [kind for kind, _ in library.made] == ["EcsRamRoleCredentialsProvider"]


def test_keys_of_the_environment_are_handed_over_as_they_were_meant(library: Library, home: dict[str, str]) -> None:
    library.answers["StaticSTSCredentialsProvider"] = [Keys()]
    environ = home | {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id\r", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}

    assert OfficialChain(environ).fetch().source == default_sources(environ)[0].name

    assert library.told("StaticSTSCredentialsProvider") == {
        "access_key_id": "id",
        "access_key_secret": "secret",
        "security_token": None,
    }


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, ("bulk", None, False)),
        (
            {
                "ALIBABA_CLOUD_ROLE_SESSION_NAME": "night",
                "ALIBABA_CLOUD_STS_REGION": "cn-shanghai",
                "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": "True",
            },
            ("night", "cn-shanghai", True),
        ),
    ],
)
def test_oidc_token_goes_to_the_service_that_the_environment_names(
    library: Library, home: dict[str, str], more: dict[str, str], told: tuple[Any, ...]
) -> None:
    library.answers["OIDCRoleArnCredentialsProvider"] = [Keys()]

    assert OfficialChain(home | OIDC | more).fetch().source == "OIDC token"

    asked = library.told("OIDCRoleArnCredentialsProvider")
    assert asked["oidc_token_file_path"] == "/var/run/token"
    assert (asked["role_session_name"], asked["sts_region_id"], asked["enable_vpc"]) == told


@pytest.mark.parametrize(
    ("variable", "provider"),
    [
        ("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "CLIProfileCredentialsProvider"),
        ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "EcsRamRoleCredentialsProvider"),
    ],
)
def test_place_that_was_switched_off_is_not_asked(
    library: Library, home: dict[str, str], variable: str, provider: str
) -> None:
    library.answers[provider] = [Keys()]
    folder = Path(home["HOME"], ".aliyun")
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")

    with pytest.raises(SettingsError, match=f"{variable} is set"):
        OfficialChain(home | {variable: "true"}).fetch()

    assert provider not in [kind for kind, _ in library.made]


@pytest.mark.parametrize(
    ("profile", "names"), [(None, (None, "default")), ("nightly", ("nightly", "nightly"))], ids=["current", "by name"]
)
def test_profiles_are_looked_for_in_both_files(
    library: Library, home: dict[str, str], profile: str | None, names: tuple[str | None, str]
) -> None:
    ours, theirs = Path(home["HOME"], ".aliyun", "config.json"), Path(home["HOME"], "elsewhere.ini")
    for file in (ours, theirs):
        file.parent.mkdir(exist_ok=True)
        file.write_text("", encoding="utf-8")
    library.answers["ProfileCredentialsProvider"] = [Keys()]
    environ = home | {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(theirs)}

    found = OfficialChain(environ, profile=profile).fetch()

    assert found.source.endswith(str(theirs))
    assert library.told("CLIProfileCredentialsProvider") == {"profile_name": names[0], "profile_file": str(ours)}
    assert library.told("ProfileCredentialsProvider") == {"profile_name": names[1], "profile_file": str(theirs)}


@pytest.mark.parametrize("profile", [None, "nightly"])
def test_user_without_a_home_is_told_so_instead_of_failing(
    monkeypatch: pytest.MonkeyPatch, profile: str | None
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)

    with pytest.raises(SettingsError) as caught:
        OfficialChain({}, profile=profile).fetch()

    assert str(caught.value).count("there is no home folder: HOME is not set") == 2


@pytest.mark.parametrize(
    ("vendor", "environ", "is_passing"),
    [
        (None, {}, False),
        ("QEMU", {}, False),
        ("Alibaba Cloud", {}, True),
        (None, {"ALIBABA_CLOUD_ECS_METADATA": "role"}, True),
    ],
)
def test_metadata_service_that_is_silent_is_waited_for_only_where_there_should_be_one(
    library: Library,
    home: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    vendor: str | None,
    environ: dict[str, str],
    is_passing: bool,
) -> None:
    if vendor:
        file = Path(home["HOME"], "vendor")
        file.write_text(vendor, encoding="utf-8")
        monkeypatch.setattr(official_sources, "_OF_ALIBABA", file)
    library.answers["EcsRamRoleCredentialsProvider"] = [RetryError("no answer")]

    with pytest.raises(KeysUnavailableError if is_passing else SettingsError) as caught:
        OfficialChain(home | environ).fetch()

    assert isinstance(caught.value, KeysUnavailableError) == is_passing
    assert library.told("EcsRamRoleCredentialsProvider") == {
        "role_name": environ.get("ALIBABA_CLOUD_ECS_METADATA", ""),
        "disable_imds_v1": False,
        "async_update_enabled": False,
    }


@pytest.mark.parametrize(
    ("uri", "insecure_http", "is_asked"),
    [
        ("https://keys.example/", False, True),
        ("http://keys.example/", False, False),
        ("http://keys.example/", True, True),
        ("http://127.0.0.1:8080/", False, True),
        ("http://localhost/", False, True),
        ("http://100.100.100.200/keys", False, True),
        ("http://169.254.169.254/keys", False, True),
        ("http://10.0.0.1/keys", False, False),
        ("http://", False, False),
    ],
)
def test_keys_cross_only_a_network_that_can_not_be_listened_to(
    library: Library, home: dict[str, str], uri: str, insecure_http: bool, is_asked: bool
) -> None:
    library.answers["URLCredentialsProvider"] = [Keys()]
    chain = OfficialChain(home | {URI: uri}, insecure_http=insecure_http)

    if is_asked:
        assert chain.fetch().source == URI
        assert library.told("URLCredentialsProvider") == {"uri": uri}
    else:
        with pytest.raises(SettingsError, match="it is not encrypted: write it with https://"):
            chain.fetch()


def test_chosen_place_alone_is_asked_from_then_on_and_its_refusal_is_no_reason_to_try_another(
    library: Library, home: dict[str, str]
) -> None:
    library.answers["OIDCRoleArnCredentialsProvider"] = [Keys(), CredentialException("the token has expired")]
    library.answers["URLCredentialsProvider"] = [Keys(key_id="another")]
    chain = OfficialChain(home | OIDC | {URI: "https://keys.example/"})
    chain.fetch()

    with pytest.raises(SettingsError, match="OIDC token: the token has expired"):
        chain.fetch()

    assert [kind for kind, _ in library.made] == ["OIDCRoleArnCredentialsProvider"]


def test_quotes_around_the_name_of_a_place_are_told_by_the_variable(home: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"{URI} has quotes around its value"):
        OfficialChain(home | {URI: '"https://keys.example/"'})
