from __future__ import annotations

import pytest

from bulk.sandbox.signature import (
    Authorization,
    canonical_request,
    parse_authorization,
    v2_signature,
    v2_string_to_sign,
    v3_signature,
    v3_string_to_sign,
)

DESCRIBE_REGIONS = {
    "AccessKeyId": "testid",
    "Action": "DescribeRegions",
    "Format": "XML",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
    "SignatureVersion": "1.0",
    "Timestamp": "2016-02-23T12:46:24Z",
    "Version": "2014-05-26",
}
PUB = {
    "MessageContent": "aGVsbG93b3JsZA=",
    "Action": "Pub",
    "Timestamp": "2017-10-02T09:39:41Z",
    "SignatureVersion": "1.0",
    "ServiceCode": "iot",
    "Format": "XML",
    "Qos": "0",
    "SignatureNonce": "0715a395-aedf-4a41-bab7-746b43d38d88",
    "Version": "2017-04-20",
    "AccessKeyId": "testid",
    "SignatureMethod": "HMAC-SHA1",
    "RegionId": "cn-shanghai",
    "ProductKey": "12345abcdeZ",
    "TopicFullName": "/productKey/testdevice/get",
}
RUN_INSTANCES_HEADERS = {
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-acs-date": "2023-10-26T10:22:32Z",
    "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    "x-acs-version": "2014-05-26",
}


@pytest.mark.parametrize(
    ("method", "params", "signature"),
    [
        pytest.param("GET", DESCRIBE_REGIONS, "OLeaidS1JvxuMvnyHOwuJ+uX5qY=", id="Alibaba ECS document"),
        pytest.param("POST", DESCRIBE_REGIONS, "MxbnVAM4w6sft9xjVpe/GCKueuk=", id="two third-party suites"),
        pytest.param("GET", PUB, "Y9eWn4nF8QPh3c4zAFkM/k/u7eA=", id="Alibaba IoT document"),
    ],
)
def test_v2_signature_equals_the_published_one(method: str, params: dict[str, str], signature: str) -> None:
    computed = v2_signature("testsecret", v2_string_to_sign(method, params))

    assert computed == signature


def test_v2_leaves_the_signature_itself_out_of_what_is_signed() -> None:
    assert v2_string_to_sign("GET", PUB | {"Signature": "x"}) == v2_string_to_sign("GET", PUB)


def test_v2_encodes_twice_what_is_reserved_and_never_what_is_not() -> None:
    assert (
        v2_string_to_sign("GET", {"Desc": "a b*~/主=&"}) == "GET&%2F&Desc%3Da%2520b%252A~%252F%25E4%25B8%25BB%253D%2526"
    )


def test_v3_signature_equals_the_published_one() -> None:
    canonical = canonical_request(
        "POST",
        "/",
        query={"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"},
        headers=RUN_INSTANCES_HEADERS,
        signed_headers=sorted(RUN_INSTANCES_HEADERS),
        body=b"",
    )
    string_to_sign = v3_string_to_sign(canonical)

    # Alibaba's document on V3 request structure and signature.
    assert string_to_sign.endswith("7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259")
    assert (
        v3_signature("YourAccessKeySecret", string_to_sign)
        == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_authorization_of_v3_is_taken_apart() -> None:
    header = "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-date,Signature=0a1b"

    assert parse_authorization(header) == Authorization("testid", ("host", "x-acs-date"), "0a1b")


@pytest.mark.parametrize("header", ["", "Bearer token", "ACS3-HMAC-SHA256 Credential=testid"])
def test_other_authorization_is_none_of_v3(header: str) -> None:
    assert parse_authorization(header) is None
