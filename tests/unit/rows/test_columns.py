from __future__ import annotations

import pytest

from bulk.errors import InputError, SettingsError
from bulk.rows.columns import ColumnNames, Field
from bulk.rows.fields import OF_MODULE


def resolve(header: list[str], **columns: str) -> dict[Field, int]:
    return ColumnNames.parse(columns).resolve(header, file="f.csv", line=1)


@pytest.mark.parametrize(
    "header",
    [
        ["ProductKey", "ModuleName", "AliasName", "Desc"],
        ["product_key", "module_name", "alias_name", "desc"],
        ["productKey", "moduleName", "aliasName", "description"],
        ["Product Key", " MODULE-NAME ", "Alias", "DESC."],
        ["\ufeffPRODUCTKEY", '"ModuleName"', "alias.name", "Description"],
    ],
)
def test_columns_are_found_in_any_spelling(header: list[str]) -> None:
    assert resolve(header) == {field: position for position, field in enumerate(OF_MODULE)}


def test_columns_stand_in_any_order_among_others() -> None:
    found = resolve(["owner", "Desc", "ModuleName", "batch", "ProductKey"])

    assert found == {Field.PRODUCT_KEY: 4, Field.MODULE_NAME: 2, Field.DESC: 1}


def test_map_names_columns_that_do_not_say_it() -> None:
    found = resolve(["pk", "Name", "note"], ProductKey="pk", module_name="name", desc="note")

    assert found == {Field.PRODUCT_KEY: 0, Field.MODULE_NAME: 1, Field.DESC: 2}


def test_mapped_column_no_longer_stands_for_its_own_name() -> None:
    found = resolve(["ProductKey", "ModuleName", "Desc"], AliasName="Desc")

    assert found == {Field.PRODUCT_KEY: 0, Field.MODULE_NAME: 1, Field.ALIAS_NAME: 2}


def test_one_column_may_be_mapped_to_two_fields() -> None:
    found = resolve(["ProductKey", "name"], ModuleName="name", AliasName="name")

    assert found[Field.MODULE_NAME] == found[Field.ALIAS_NAME] == 1


def test_map_prefers_the_column_that_is_spelled_exactly_so() -> None:
    assert resolve(["ProductKey", "Name", "name"], ModuleName="name")[Field.MODULE_NAME] == 2


def test_missing_columns_are_named_with_those_found_and_the_flag() -> None:
    with pytest.raises(InputError) as caught:
        resolve(["pk", "name", "Desc"])

    message = str(caught.value)
    assert message.startswith("f.csv, line 1: no column for ProductKey and ModuleName; the columns are 'pk', 'name'")
    assert "--map ProductKey=COLUMN" in message
    assert caught.value.field == "ProductKey"


def test_long_headers_are_shown_in_part() -> None:
    with pytest.raises(InputError, match="and 88 more"):
        resolve([f"{index}" * 80 for index in range(100)])


def test_two_columns_for_one_field_are_refused() -> None:
    with pytest.raises(InputError, match=r"'Alias' and 'AliasName' both mean AliasName; .*--map AliasName="):
        resolve(["ProductKey", "ModuleName", "Alias", "AliasName"])


def test_map_settles_which_of_two_columns_is_meant() -> None:
    found = resolve(["ProductKey", "ModuleName", "Alias", "AliasName"], AliasName="Alias")

    assert found[Field.ALIAS_NAME] == 2


def test_map_to_a_column_that_is_not_there_tells_the_nearest() -> None:
    with pytest.raises(InputError, match=r"there is no column 'prodct'; did you mean 'product'\?"):
        resolve(["product", "ModuleName"], ProductKey="prodct")


def test_map_to_a_column_unlike_all_others_lists_them() -> None:
    with pytest.raises(InputError, match="the columns are 'product', 'ModuleName'"):
        resolve(["product", "ModuleName"], ProductKey="zzz")


def test_map_of_an_unknown_field_tells_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"there is no field 'ModulName'; did you mean 'ModuleName'\?"):
        ColumnNames.parse({"ModulName": "x"})


def test_map_of_a_field_unlike_all_others_lists_them() -> None:
    with pytest.raises(SettingsError, match="the fields are ProductKey, ModuleName, AliasName, Desc"):
        ColumnNames.parse({"zzz": "x"})


def test_map_gives_a_field_one_column_only() -> None:
    with pytest.raises(SettingsError, match="two columns: 'a' and 'b'"):
        ColumnNames.parse({"Desc": "a", "description": "b"})
