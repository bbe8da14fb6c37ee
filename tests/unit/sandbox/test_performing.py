from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.model import Dialect
from bulk.sandbox.performing import with_dialect

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import CallMaker


@pytest.mark.parametrize(
    ("action", "dialect", "expected"),
    [
        ("CreateOTAModule", None, Dialect.TUYA),
        ("CreateOTAModule", Dialect.ALIBABA, Dialect.ALIBABA),
        ("AssumeRole", None, Dialect.ALIBABA),
        ("AssumeRole", Dialect.TUYA, Dialect.ALIBABA),
        ("MakeCoffee", Dialect.ALIBABA, Dialect.ALIBABA),
    ],
)
def test_request_is_read_in_the_dialect_of_its_account_but_for_sts(
    action: str, dialect: Dialect | None, expected: Dialect, make_call: CallMaker
) -> None:
    assert with_dialect(make_call({"Action": action}), dialect).dialect is expected
