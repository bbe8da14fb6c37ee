"""What a program that imports `bulk` finds there, and from where."""

from __future__ import annotations

from importlib import import_module
from inspect import getmodule

import pytest

import bulk


@pytest.mark.parametrize("name", ["run", "sync", "Settings", "SettingsError", "RowSettled"])
def test_name_is_the_thing_that_the_program_uses_itself(name: str) -> None:
    found = getattr(bulk, name)

    assert found is getattr(getmodule(found), name)
    assert found is getattr(bulk, name)


def test_commands_of_a_fleet_are_a_package_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(bulk), "fleet", raising=False)

    assert bulk.fleet is import_module("bulk.fleet")


def test_other_name_is_missing_as_from_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'bulk' has no attribute 'rum'"):
        _ = bulk.rum


def test_names_are_offered_before_they_are_imported() -> None:
    assert dir(bulk) == sorted(bulk.__all__)
