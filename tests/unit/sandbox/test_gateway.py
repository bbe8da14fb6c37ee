from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bulk.model import Dialect
from bulk.sandbox.accounts.account import Account
from bulk.sandbox.actions import ACTION_NAMES
from bulk.sandbox.call import read_call
from bulk.sandbox.config import SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET, SandboxConfig
from bulk.sandbox.gateway import TIMESTAMP_WINDOW_S, Gateway, Throttle
from bulk.sandbox.results import Refusal
from bulk.sandbox.signature import canonical_request, v3_signature, v3_string_to_sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.call import Call
    from tests.unit.sandbox.conftest import CallMaker

NOW = datetime(2024, 11, 19, 9, 47, 43, tzinfo=UTC).timestamp()
ALIBABA = {"Version": "2018-01-20", "SignatureVersion": "1.0", "Format": "JSON"}


def code_of(call: Call, *, gateway: Gateway | None = None, now: float = NOW, tick_s: float = 0.0) -> str | None:
    refusal = (gateway or Gateway(SandboxConfig())).check(call, now=now, tick_s=tick_s)
    return refusal.code if refusal else None


def test_signed_tuya_request_passes_without_format_and_version(make_call: CallMaker) -> None:
    assert code_of(make_call()) is None


def test_signed_alibaba_post_passes(make_call: CallMaker) -> None:
    assert code_of(make_call(ALIBABA | {"SecurityToken": "token"}, method="POST")) is None


@pytest.mark.parametrize("name", ["Action", "AccessKeyId", "SignatureMethod", "Timestamp", "SignatureNonce"])
def test_missing_common_parameter_is_named(name: str, make_call: CallMaker) -> None:
    assert code_of(make_call({name: None})) == f"Missing{name}"


@pytest.mark.parametrize("name", ["Version", "SignatureVersion"])
def test_alibaba_needs_two_parameters_more(name: str, make_call: CallMaker) -> None:
    assert code_of(make_call({**ALIBABA, name: None}, method="POST")) == f"Missing{name}"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"AccessKeyId": "stranger"}, "InvalidAccessKeyId.NotFound"),
        ({"SignatureMethod": "HMAC-SHA256"}, "InvalidSignatureMethod"),
        ({"Timestamp": "2024-11-19 09:47:43"}, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2024-13-19T09:47:43Z"}, "InvalidTimeStamp.Format"),
        ({"Version": "2017-04-20", "SignatureVersion": "1.0"}, "NoSuchVersion"),
    ],
)
def test_wrong_common_parameter_is_refused(params: Mapping[str, str | None], code: str, make_call: CallMaker) -> None:
    assert code_of(make_call(params)) == code


def test_tuya_takes_no_post(make_call: CallMaker) -> None:
    assert code_of(make_call(method="POST", dialect=Dialect.TUYA)) == "UnsupportedHTTPMethod"


def test_wrong_signature_is_refused_with_the_string_to_sign(make_call: CallMaker) -> None:
    refusal = Gateway(SandboxConfig()).check(make_call({"Signature": "AAAA"}), now=NOW, tick_s=0)

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (400, "SignatureDoesNotMatch")
    assert "GET&%2F&AccessKeyId%3Dsandbox-access-key-id%26Action" in refusal.message


@pytest.mark.parametrize("side", [-1, 1])
def test_timestamp_is_good_for_fifteen_minutes_to_either_side(side: int, make_call: CallMaker) -> None:
    assert code_of(make_call(), now=NOW + side * TIMESTAMP_WINDOW_S) is None
    assert code_of(make_call(), now=NOW + side * (TIMESTAMP_WINDOW_S + 1)) == "InvalidTimeStamp.Expired"


def test_nonce_is_good_once(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig())
    call = make_call({"SignatureNonce": "again"})

    assert code_of(call, gateway=gateway) is None
    assert code_of(call, gateway=gateway) == "SignatureNonceUsed"


def test_nonce_of_a_wrongly_signed_request_is_not_used_up(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig())
    code_of(make_call({"SignatureNonce": "again", "Signature": "AAAA"}), gateway=gateway)

    assert code_of(make_call({"SignatureNonce": "again"}), gateway=gateway) is None


def test_nonces_are_forgotten_when_their_timestamps_have_left_the_window(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(list_qps=0))
    for _ in range(1000):
        code_of(make_call(), gateway=gateway)

    code_of(make_call({"Timestamp": "2024-11-19T11:00:00Z"}), gateway=gateway, now=NOW + 4337)

    assert len(gateway._nonces) == 1


def test_each_action_has_a_rate_of_its_own(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(qps=1, list_qps=2))
    lists = [code_of(make_call(), gateway=gateway) for _ in range(3)]
    creates = [code_of(make_call({"Action": "CreateOTAModule"}), gateway=gateway) for _ in range(2)]

    assert lists == [None, None, "Throttling.User"]
    assert creates == [None, "Throttling.User"]


ACTIONS_OF_IOT = {
    "CreateOTAModule": {},
    "ListOTAModuleByProduct": {},
    "UpdateOTAModule": {},
    "DeleteOTAModule": {},
    "ListOTAFirmware": {},
    "QueryProduct": {},
    "QueryProductList": {"CurrentPage": "1", "PageSize": "10"},
}


@pytest.mark.parametrize("action", ACTIONS_OF_IOT)
def test_every_action_is_counted_apart_from_all_others(action: str, make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(rates=dict.fromkeys(ACTION_NAMES, 1.0)))
    codes = {
        name: code_of(make_call({"Action": name} | told), gateway=gateway) for name, told in ACTIONS_OF_IOT.items()
    }

    assert set(codes.values()) == {None}
    assert code_of(make_call({"Action": action} | ACTIONS_OF_IOT[action]), gateway=gateway) == "Throttling.User"


def test_deep_pages_of_products_have_a_rate_of_their_own(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig())
    deep = {"Action": "QueryProductList", "CurrentPage": "500", "PageSize": "200"}
    shallow = deep | {"CurrentPage": "499"}

    assert [code_of(make_call(deep), gateway=gateway) for _ in range(3)] == [None, None, "Throttling.User"]
    assert code_of(make_call(shallow), gateway=gateway) is None


def test_keys_of_one_uid_share_a_window_and_others_do_not(make_call: CallMaker) -> None:
    one = Account(name="one", access_key_id="1a", access_key_secret="s1", uid="1", qps=2)
    two = replace(one, name="two", access_key_id="1b", access_key_secret="s2")
    other = replace(one, name="other", access_key_id="2a", uid="2")
    gateway = Gateway(SandboxConfig(accounts=(one, two, other)))

    def create(keys: Account) -> str | None:
        return code_of(make_call({"Action": "CreateOTAModule"}, keys=keys), gateway=gateway)

    assert [create(keys) for keys in (one, two, one, two, other)] == [
        None,
        None,
        "Throttling.User",
        "Throttling.User",
        None,
    ]


@pytest.mark.parametrize("code", ["Forbidden.RAM", "NoPermission", "iot.common.RamActionPermissionDeny"])
def test_key_without_the_right_hears_so_and_does_the_rest(code: str, make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(denied=frozenset({"DeleteOTAModule"}), denied_code=code))

    assert code_of(make_call({"Action": "DeleteOTAModule"}), gateway=gateway) == code
    assert code_of(make_call({"Action": "UpdateOTAModule"}), gateway=gateway) is None


def test_denied_request_must_be_signed_and_counts_against_the_rate(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(denied=frozenset({"DeleteOTAModule"}), qps=1))
    delete = {"Action": "DeleteOTAModule"}

    assert code_of(make_call(delete | {"Signature": "AAAA"}), gateway=gateway) == "SignatureDoesNotMatch"
    assert code_of(make_call(delete), gateway=gateway) == "Forbidden.RAM"
    assert code_of(make_call(delete), gateway=gateway) == "Throttling.User"


def test_sts_has_a_version_of_its_own(make_call: CallMaker) -> None:
    sts = {"Action": "GetCallerIdentity", "Version": "2015-04-01", "SignatureVersion": "1.0"}

    assert code_of(make_call(sts)) is None
    assert code_of(make_call(sts | {"Version": "2018-01-20"})) == "NoSuchVersion"


def test_throttle_holds_in_every_sliding_second() -> None:
    throttle = Throttle(2)
    asked_at = [0.0, 0.75, 0.875, 1.0, 1.5, 1.75, 2.0]

    assert [at for at in asked_at if throttle.admits(at)] == [0.0, 0.75, 1.0, 1.75, 2.0]


def test_throttle_below_one_a_second_widens_the_window() -> None:
    throttle = Throttle(0.5)

    assert [throttle.admits(at) for at in (0.0, 1.9, 2.0)] == [True, False, True]


def test_throttle_of_zero_is_unlimited() -> None:
    throttle = Throttle(0)

    assert all(throttle.admits(0.0) for _ in range(100))


def test_v3_request_needs_its_headers_signed() -> None:
    headers = {
        "authorization": "ACS3-HMAC-SHA256 Credential=sandbox-access-key-id,SignedHeaders=host,Signature=0a1b",
        "x-acs-action": "ListOTAModuleByProduct",
    }
    call = read_call("GET", "/", headers=headers, body=b"", dialect=None)

    assert code_of(call) == "IncompleteSignature"


def test_nonces_within_the_window_are_remembered(make_call: CallMaker) -> None:
    gateway = Gateway(SandboxConfig(list_qps=0))
    for _ in range(1001):
        code_of(make_call(), gateway=gateway)

    assert code_of(make_call({"SignatureNonce": "nonce-0"}), gateway=gateway) == "SignatureNonceUsed"


V3 = ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce")


def v3_call(
    secret: str = SANDBOX_ACCESS_KEY_SECRET, *, signed: tuple[str, ...] = V3, query: str = "ProductKey=p"
) -> Call:
    """Return a request that is signed in its headers, as newer SDKs do it."""
    values = ("ListOTAModuleByProduct", "2018-01-20", "2024-11-19T09:47:43Z", "nonce")
    headers = dict(zip(V3, values, strict=True))
    canonical = canonical_request(
        "GET", "/", query={"ProductKey": "p"}, headers=headers, signed_headers=signed, body=b""
    )
    signature = v3_signature(secret, v3_string_to_sign(canonical))
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={SANDBOX_ACCESS_KEY_ID},SignedHeaders={';'.join(signed)},Signature={signature}"
    )
    return read_call("GET", f"/?{query}", headers=headers, body=b"", dialect=None)


def test_v3_request_passes_with_its_own_secret_and_only_as_it_was_signed() -> None:
    assert code_of(v3_call()) is None
    assert code_of(v3_call("another secret")) == "SignatureDoesNotMatch"
    assert code_of(v3_call(query="ProductKey=q")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", V3)
def test_v3_request_that_leaves_a_header_unsigned_is_refused(name: str) -> None:
    refusal = Gateway(SandboxConfig()).check(
        v3_call(signed=tuple(other for other in V3 if other != name)), now=NOW, tick_s=0.0
    )

    assert isinstance(refusal, Refusal)
    assert (refusal.code, name in refusal.message) == ("IncompleteSignature", True)
