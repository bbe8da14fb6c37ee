"""The signer against signatures with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulk.cloud.signing import Signer, canonical_query, percent_encode, signature, string_to_sign, timestamp

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text("utf-8"))
BY_ID = {vector["id"]: vector for vector in VECTORS}
V2 = [vector for vector in VECTORS if vector["alg"] == "V2 HMAC-SHA1"]


def parameters_of(vector: dict[str, Any]) -> dict[str, str]:
    """Follow "same as ID"."""
    parameters = vector["params"]
    return parameters_of(BY_ID[parameters.removeprefix("same as ")]) if isinstance(parameters, str) else parameters


def test_there_are_vectors_for_both_methods() -> None:
    assert {vector["method"] for vector in V2} == {"GET", "POST"}
    assert len(V2) >= 5


def encoded(parameters: dict[str, str]) -> dict[str, str]:
    return {name: percent_encode(value) for name, value in parameters.items()}


@pytest.mark.parametrize("vector", V2, ids=lambda vector: vector["id"])
def test_signature_equals_known_answer(vector: dict[str, Any]) -> None:
    text = string_to_sign(vector["method"], canonical_query(encoded(parameters_of(vector))))

    assert signature(vector["secret"], text) == vector["signature"]


def test_signed_query_ends_in_the_encoded_signature() -> None:
    vector = BY_ID["V2-GET-ecs-doc"]

    parameters = dict(parameters_of(vector))
    nonce, at = parameters.pop("SignatureNonce"), parameters.pop("Timestamp")

    query = Signer("GET", {}, secret=vector["secret"]).sign(parameters, nonce=nonce, timestamp=at)

    assert query.startswith("AccessKeyId=testid&Action=DescribeRegions&")
    assert query.endswith("&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D")


def test_encoding_keeps_only_unreserved_characters() -> None:
    assert percent_encode("aZ09-_.~ *'()!+&%=/中") == "aZ09-_.~%20%2A%27%28%29%21%2B%26%25%3D%2F%E4%B8%AD"


def test_query_is_sorted_by_name_not_by_pair() -> None:
    # "A1" sorts behind "A", though "A1=" sorts before "A=".
    assert canonical_query({"A1": "x", "A": "y", "B": "z"}) == "A=y&A1=x&B=z"


def test_timestamp_is_utc_to_the_second() -> None:
    assert timestamp(1_519_130_529) == "2018-02-20T12:42:09Z"
