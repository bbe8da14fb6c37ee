from __future__ import annotations

import pytest

from bulk.rows.fields import Field, closeness, field_of


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Product Key*", Field.PRODUCT_KEY),
        ("ＰｒｏｄｕｃｔＫｅｙ", Field.PRODUCT_KEY),
        ("ProductKey/产品标识", Field.PRODUCT_KEY),
        ("产品标识 ProductKey", Field.PRODUCT_KEY),
        ("产品Key(ProductKey)", Field.PRODUCT_KEY),
        ("ProductKey（必填）", Field.PRODUCT_KEY),
        ("MODULENAME\n模块名称", Field.MODULE_NAME),
        ("模块名", Field.MODULE_NAME),
        ("AliasName (optional)", Field.ALIAS_NAME),
        ("模块别名", Field.ALIAS_NAME),
        ("Desc [max. 100]", Field.DESC),
        ("模块描述", Field.DESC),
    ],
)
def test_name_means_its_field_beyond_doubt(name: str, field: Field) -> None:
    assert field_of(name) is field


@pytest.mark.parametrize(
    "name", ["ProductSecret", "ProductKey/ProductSecret", "产品密钥", "备注", "name", "owner (ProductKey)", "", "*"]
)
def test_name_that_may_mean_something_else_means_no_field(name: str) -> None:
    assert field_of(name) is None


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Alais Name", Field.ALIAS_NAME),
        ("alias_nmae", Field.ALIAS_NAME),
        ("t.alias_name", Field.ALIAS_NAME),
        ("old_alias", Field.ALIAS_NAME),
        ("Desciption", Field.DESC),
        ("descr", Field.DESC),
        ("device_desc", Field.DESC),
        ("说明", Field.DESC),
        ("module_nm", Field.MODULE_NAME),
    ],
)
def test_name_that_is_close_is_told(name: str, field: Field) -> None:
    assert field_of(name) is None
    assert closeness(name, field)


@pytest.mark.parametrize("name", ["owner", "batch", "note", "name", "desk", "descender", "备注", "price", "", "region"])
def test_other_names_are_far_from_every_field(name: str) -> None:
    assert not any(closeness(name, field) for field in Field)
