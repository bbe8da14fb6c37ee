"""Whatever arrives, reading it ends in a value, or in the one error that says that nothing is known."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk.cloud.replies import UnreadableDataError, read_answer, read_modules, retry_after_s, server_time_at
from bulk.model import OtaModule
from bulk.redaction import MAX_MESSAGE_CHARACTERS, redact

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = (
    st.sampled_from(["Success", "code", "DATA", "data", "ModuleName", "moduleName", "Desc", "RequestId", "x"]) | TEXT
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(orjson.dumps))
@example(b"[" * 2000)
@example(b'{"Data":' * 1000 + b"1" + b"}" * 1000)
def test_any_body_is_read_without_an_error(body: bytes) -> None:
    answer = read_answer(body)

    assert answer.success in {True, False, None}
    assert isinstance(answer.code, str)
    assert isinstance(answer.message, str)


@given(JSON)
@example({"a": {"a": {"a": []}}})
def test_any_data_is_a_listing_or_unreadable(data: object) -> None:
    try:
        modules = read_modules(data, "pk")
    except UnreadableDataError:
        return

    assert all(module.product_key == "pk" and module.module_name for module in modules)


@given(
    st.lists(st.builds(OtaModule, st.just("pk"), TEXT.filter(bool), TEXT.map(lambda text: text or None)), max_size=11)
)
@pytest.mark.parametrize("wrapper", [None, "OtaModuleDTO"])
def test_listing_is_read_back(wrapper: str | None, modules: list[OtaModule]) -> None:
    listed = [{"ModuleName": module.module_name, "AliasName": module.alias_name} for module in modules]

    assert read_modules({wrapper: listed} if wrapper else listed, "pk") == tuple(modules)


@given(st.text(max_size=40))
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_any_header_is_a_number_or_nothing(text: str) -> None:
    for read in (server_time_at, retry_after_s):
        value = read({"date": text, "retry-after": text, "x-acs-retry-after": text})

        assert value is None or isinstance(value, float)


@given(TEXT, st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=16, max_size=40), TEXT)
def test_secret_never_survives(before: str, secret: str, after: str) -> None:
    redacted = redact(f"{before}{secret}{after}" * 20, [secret])

    assert secret not in redacted
    assert len(redacted) <= MAX_MESSAGE_CHARACTERS
