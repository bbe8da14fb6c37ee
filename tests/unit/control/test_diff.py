from __future__ import annotations

import pytest

from bulk.control.diff import Difference, Field, differences
from bulk.model import OtaModule

FOUND = OtaModule("pk", "MCU", "alias", "desc")


def test_modules_that_are_equal_do_not_differ() -> None:
    assert differences(FOUND, FOUND) == ()


def test_a_field_that_is_not_given_is_not_compared() -> None:
    assert differences(OtaModule("pk", "MCU"), FOUND) == ()


def test_every_field_that_differs_is_named_with_both_texts() -> None:
    assert differences(OtaModule("pk", "mcu", "other", ""), FOUND) == (
        Difference(Field.MODULE_NAME, "mcu", "MCU"),
        Difference(Field.ALIAS_NAME, "other", "alias"),
        Difference(Field.DESC, "", "desc"),
    )


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_field_is_the_same_whether_or_not_the_platform_shows_it(nothing: str | None) -> None:
    bare = OtaModule("pk", "MCU", nothing, nothing)

    assert differences(OtaModule("pk", "MCU", "", ""), bare) == ()
    assert differences(OtaModule("pk", "MCU", "a"), bare) == (Difference(Field.ALIAS_NAME, "a", ""),)
