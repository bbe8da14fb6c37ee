from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.rows.problems import Problem
from bulk.rows.validate import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[tuple[Any, ...]]]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"


def code_of(product_key: str = "a1Lamp00001", name: str = "mcu", alias: str = "", desc: str = "", **how: Any) -> str:
    rules = Rules(**how)
    judged = rules.judge((product_key, name, alias, desc))
    # What the quick look takes, a close look takes as it is.
    if rules.accept([product_key], [name], [alias], [desc]):
        assert judged == (product_key, name, alias, desc)
    return judged.code if isinstance(judged, Problem) else ""


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("1.23457E+10", "spreadsheet"),
        ("1,2E+10", "spreadsheet"),
        ("1E+05", "spreadsheet"),
        ("1E-05", "spreadsheet"),
        ("#REF!", "spreadsheet"),
        ("#NAME?", "spreadsheet"),
        ("#VALUE!", "spreadsheet"),
        ("#####", "spreadsheet"),
        ("=A1", "spreadsheet"),
        ("1,234,567", "spreadsheet"),
        ("123.0", "spreadsheet"),
        ("2024/1/2", "spreadsheet"),
        ("2024-01-02", "spreadsheet"),
        ("1-Feb", "spreadsheet"),
        ("2024年1月2日", "spreadsheet"),
        ("TRUE", "spreadsheet"),
        ("'a1Lamp00001", "spreadsheet"),
        ("'a1Lamp00001'", "quotes"),
        ('"a1Lamp00001"', "quotes"),
        ("`a1Lamp00001`", "quotes"),
        ("“a1Lamp00001”", "quotes"),
        ("Ａ1Lamp00001", "full_width"),
        ("a1Lamp0000１", "full_width"),
        ("NULL", "null"),
        ("#N/A", "null"),
        ("nan", "null"),
        ("None", "null"),
        ("-", "null"),
    ],
)
def test_product_key_that_a_program_spoiled_is_invalid_unless_lenient(key: str, kind: str) -> None:
    assert code_of(key) == f"product_key.{kind}"
    assert code_of(key, lenient_keys=True) == ""


@pytest.mark.parametrize("key", ["a1Lamp00001", "12345678901", "1E123456789", "a1-b.c_d", "产品", "a1Le6d0****", "Feb"])
def test_product_key_that_may_be_one_is_valid(key: str) -> None:
    assert code_of(key) == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("1.2E+10", "spreadsheet"),
        ("#REF!", "spreadsheet"),
        ("1,234", "spreadsheet"),
        ("ｗｉｆｉ", "full_width"),
        ("“wifi”", "quotes"),
        ("NULL", "null"),
        ("N/A", "null"),
        ("a b", "characters"),
    ],
)
def test_module_name_that_a_program_spoiled_is_invalid_with_the_cause(name: str, kind: str) -> None:
    assert code_of(name=name) == f"module_name.{kind}"


@pytest.mark.parametrize("name", ["1.0", "2024-01-02", "1-Feb", "TRUE", "1E5", "-"])
def test_module_name_that_is_legal_is_left_alone(name: str) -> None:
    assert code_of(name=name) == ""


@pytest.mark.parametrize("word", ["NULL", "null", "\\N", "NaN", "nan", "#N/A", "(null)", "<null>"])
def test_word_for_nothing_is_invalid_until_it_is_said_what_it_means(word: str) -> None:
    assert code_of(alias=word) == "alias_name.null"
    assert code_of(desc=word) == "desc.null"
    assert Rules(nulls=[word]).judge(("a1", "mcu", word, word)) == ("a1", "mcu", "", "")
    assert code_of(desc=word, nulls=[""]) == ""
    assert code_of(word, nulls=[word]) == "product_key.missing"


def test_any_text_may_stand_for_nothing(read: Read) -> None:
    rows = read(f"{HEADER}a1Lamp00001,mcu,n.v.,n.v.\n" * 1, null_texts=("n.v.",))

    assert rows[0][1:5] == ("a1Lamp00001", "mcu", None, None)


def test_text_kept_from_spreadsheets_is_unwrapped_in_every_field(read: Read) -> None:
    rows = read(HEADER + '="a1Lamp00001","=""mcu""","=""主控""","=""say """"hi"""""""\n')

    assert rows[0][1:5] == ("a1Lamp00001", "mcu", "主控", 'say "hi"')
    assert rows[0][5] == '["=\\"a1Lamp00001\\"","=\\"mcu\\"","=\\"主控\\"","=\\"say \\"\\"hi\\"\\"\\""]'


@pytest.mark.parametrize("row", ["Total,5,,", "合计,5,,", "total:,5,,", "Subtotal,x,,"])
def test_total_is_no_module_unless_lenient(read: Read, row: str) -> None:
    assert "looks like a total" in str(read(f"{HEADER}{row}\n")[0][-1])
    assert read(f"{HEADER}{row}\n", lenient_keys=True)[0][-1] is None


@pytest.mark.parametrize(
    "again", ["product_key,module_name,,", "产品标识,模块名称,别名,描述", " ProductKey ,ModuleName,,"]
)
def test_header_in_another_spelling_is_no_module(read: Read, again: str) -> None:
    assert "the header again" in str(read(f"{HEADER}a1,wifi,,\n{again}\n")[1][-1])


@pytest.mark.parametrize(
    "key",
    ["#a1Lamp00001", "//a1Lamp00001", ";a1Lamp00001", "--a1Lamp00001", "a1Lamp00001;", "https://a.com/a1Lamp00001"],
)
def test_product_key_with_marks_around_it_is_invalid_unless_lenient(key: str) -> None:
    assert code_of(key) == "product_key.marks"
    assert code_of(key, lenient_keys=True) == ""
