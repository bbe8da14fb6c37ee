"""The signer against the official SDK's, for any text."""

from __future__ import annotations

from urllib.parse import parse_qs, quote

import pytest
from alibabacloud_tea_openapi.utils import Utils
from hypothesis import example, given
from hypothesis import strategies as st

from bulk.cloud.signing import Signer, canonical_query, percent_encode, signature, string_to_sign, unsigned

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.text(st.sampled_from("ABCXYZabcxyz019._-"), min_size=1, max_size=12)
AT = "2018-01-20T12:00:00Z"
CHANGING = {"SignatureNonce": "n1", "Timestamp": AT}
PARAMETERS = st.dictionaries(NAMES, TEXT, max_size=8)


def encoded(parameters: dict[str, str]) -> dict[str, str]:
    return {name: percent_encode(value) for name, value in parameters.items()}


@given(PARAMETERS, st.sampled_from(["GET", "POST"]), TEXT)
@example({"Desc": "*~'()!+&%=/ ", "AliasName": "中文。模块", "ModuleName": "a.b_c-d~"}, "POST", "testsecret")
@example({"A": "1", "A1": "2", "A-": "3", "a": "4"}, "GET", "s+e/c&r=et")
def test_signature_equals_the_official_sdk(parameters: dict[str, str], method: str, secret: str) -> None:
    ours = signature(secret, string_to_sign(method, canonical_query(encoded(parameters))))

    assert ours == Utils.get_rpcsignature(parameters, method, secret)


@given(PARAMETERS)
def test_string_to_sign_holds_the_encoded_query(parameters: dict[str, str]) -> None:
    query = canonical_query(encoded(parameters))

    assert string_to_sign("GET", query) == f"GET&%2F&{quote(query, safe='-_.~')}"


@given(PARAMETERS, PARAMETERS, TEXT)
def test_query_is_canonical_whatever_is_said_to_be_common(
    common: dict[str, str], parameters: dict[str, str], secret: str
) -> None:
    whole = common | parameters | CHANGING

    query = Signer("POST", common, secret=secret).sign(parameters, nonce="n1", timestamp=AT)

    assert unsigned(query) == canonical_query(encoded(whole))
    assert query == Signer("POST", {}, secret=secret).sign(common | parameters, nonce="n1", timestamp=AT)


@given(PARAMETERS)
def test_server_reads_back_what_was_signed(parameters: dict[str, str]) -> None:
    query = Signer("GET", {}, secret="testsecret").sign(parameters, nonce="n1", timestamp=AT)

    read = parse_qs(query, keep_blank_values=True, strict_parsing=True)
    signed = {"Signature": signature("testsecret", string_to_sign("GET", unsigned(query)))}
    assert read == {name: [value] for name, value in (parameters | CHANGING | signed).items()}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_method_is_signed(method: str) -> None:
    other = "POST" if method == "GET" else "GET"
    ours, theirs = Signer(method, {}, secret="s"), Signer(other, {}, secret="s")

    assert ours.sign({"A": "b"}, nonce="n1", timestamp=AT) != theirs.sign({"A": "b"}, nonce="n1", timestamp=AT)
