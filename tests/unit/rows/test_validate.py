from __future__ import annotations

import pytest

from bulk.rows.problems import Problem
from bulk.rows.validate import Rules

VALID = ("a1Demo00001", "mcu", "主控", "Main controller firmware")


def accepted(*values: str, rules: Rules | None = None) -> bool:
    columns = [(good, value) for good, value in zip(VALID, values, strict=True)]
    return (rules or Rules()).accept(*columns)


def problem_of(
    product_key: str = VALID[0],
    module_name: str = VALID[1],
    alias_name: str = "",
    desc: str = "",
    *,
    lenient: bool = False,
) -> str | None:
    rules = Rules(lenient_alias=lenient)
    judged = rules.judge((product_key, module_name, alias_name, desc))
    problem = judged.text if isinstance(judged, Problem) else None
    # What is accepted quickly must be what is accepted after a close look, as it stands.
    if accepted(product_key, module_name, alias_name, desc, rules=rules):
        assert judged == (product_key, module_name, alias_name, desc)
    return problem


def test_valid_row_is_accepted_at_once_and_kept_as_it_is() -> None:
    assert accepted(*VALID)
    assert Rules().judge(VALID) == VALID


def test_blanks_around_fields_are_trimmed_and_blank_fields_absent() -> None:
    fields = (" a1Demo00001\t", "\u3000mcu ", "  ", "\u00a0")

    assert not accepted(*fields)
    assert Rules().judge(fields) == ("a1Demo00001", "mcu", "", "")


def test_every_problem_of_a_row_is_named() -> None:
    problems = Rules().judge(("", "", "a b", "x" * 101))

    assert isinstance(problems, Problem)
    assert [part.split()[0] for part in problems.text.split("; ") if part[0].isupper()] == [
        "ProductKey",
        "ModuleName",
        "AliasName",
        "Desc",
    ]


@pytest.mark.parametrize("name", ["a", "A-Z.0_9", "x" * 64, "...", "default1", "defaul", "-"])
def test_module_name_within_the_rule_is_valid(name: str) -> None:
    assert accepted(VALID[0], name, "", "")
    assert problem_of(module_name=name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is missing"),
        ("  ", "is missing"),
        ("x" * 65, "has 65 characters"),
        ("ma in", "space (U+0020)"),
        ("mcu\nx", "a control character (U+000A)"),
        ("módulo", "'ó' (U+00F3)"),
        ("主控", "'主' (U+4E3B)"),
        ("mcu\u200b", "zero width space (U+200B)"),
        ("default", "reserved"),
        ("DeFault", "reserved"),
        (" Default ", "reserved"),
    ],
)
def test_module_name_beyond_the_rule_is_invalid_with_reason(name: str, reason: str) -> None:
    problem = problem_of(module_name=name)

    assert problem is not None
    assert problem.startswith("ModuleName ")
    assert reason in problem


def test_newline_after_a_name_is_never_accepted_at_once() -> None:
    assert not accepted(VALID[0], "mcu\n", "", "")
    assert not accepted(VALID[0], "mcu", "主控\n", "")


@pytest.mark.parametrize("key", ["a1Le6d0****", "12345abcdeZ", "x", "产品", "k" * 200])
def test_product_key_of_any_form_is_valid(key: str) -> None:
    assert problem_of(product_key=key) is None


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "is missing"),
        ("a1 Demo", "space (U+0020)"),
        ("a1\tDemo", "control character (U+0009)"),
        ("a1\u3000Demo", "ideographic space (U+3000)"),
        ("a1\ufeffDemo", "zero width no-break space (U+FEFF)"),
        ("a1\ud800", "U+D800"),
    ],
)
def test_product_key_with_white_or_invisible_characters_is_invalid(key: str, reason: str) -> None:
    assert reason in str(problem_of(product_key=key))


@pytest.mark.parametrize(
    "alias", ["主控", "mcu-1.0_b", "㐀", "豈", "𠀀", "\U0002ee5d", "\U000323af", "二〇二四", "主" * 64]
)
def test_alias_of_chinese_letters_digits_and_marks_is_valid(alias: str) -> None:
    assert problem_of(alias_name=alias) is None


@pytest.mark.parametrize(
    ("alias", "reason"),
    [
        ("カメラ", "'カ' (U+30AB)"),
        ("main board", "space (U+0020)"),
        ("主控（新）", "'（' (U+FF08)"),
        ("é", "'é' (U+00E9)"),
        ("😀", "(U+1F600)"),
    ],
)
def test_alias_beyond_the_documented_set_is_invalid_unless_lenient(alias: str, reason: str) -> None:
    problem = problem_of(alias_name=alias)

    assert reason in str(problem)
    assert "--lenient-alias" in str(problem)
    assert problem_of(alias_name=alias, lenient=True) is None


@pytest.mark.parametrize(
    ("alias", "reason"), [("a\x07b", "U+0007"), ("x" * 65, "65 characters"), ("a\u200bb", "U+200B")]
)
def test_lenient_alias_is_still_printable_and_short(alias: str, reason: str) -> None:
    assert reason in str(problem_of(alias_name=alias, lenient=True))


@pytest.mark.parametrize("desc", ["x" * 100, "说" * 100, "two\nlines\tand\r\na tab", "emoji 😀 and é"])
def test_desc_up_to_the_limit_is_valid(desc: str) -> None:
    assert problem_of(desc=desc) is None


@pytest.mark.parametrize(
    ("desc", "reason"),
    [("说" * 101, "Desc has 101 characters"), ("a\0b", "U+0000"), ("a\x1bb", "U+001B"), ("a\udfffb", "U+DFFF")],
)
def test_desc_too_long_or_with_control_characters_is_invalid(desc: str, reason: str) -> None:
    assert reason in str(problem_of(desc=desc))
