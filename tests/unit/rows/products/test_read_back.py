"""A row that was written says its module to a run, or is named."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk.model import OtaModule, Product
from bulk.rows.products.module_rows import MODULE_ENCODERS
from bulk.rows.products.read_back import ReadOtherwise, Written, read_otherwise, settings_for_reading_back
from bulk.settings import ReadSettings

KEY = "a1Lamp00001"
FORMATS = ("csv", "jsonl")
NO_TEXT = "this is no text"
PLAIN = OtaModule(KEY, "mcu", "主控", 'two\nlines, "quoted", ‘so’')


def written(form: str, *modules: OtaModule) -> tuple[bytes, list[Written]]:
    encoder = MODULE_ENCODERS[form](names_accounts=False)
    return encoder.header(), [Written(encoder.row("", Product(KEY, "灯"), module), module) for module in modules]


def named(form: str, *modules: OtaModule, **given: bool | tuple[str, ...]) -> list[ReadOtherwise]:
    settings = settings_for_reading_back(form, ReadSettings(**given))  # type: ignore[arg-type]  # flags and texts by name
    return list(read_otherwise(*written(form, *modules), settings))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (OtaModule(KEY, "m", " x", "d"), "AliasName is ' x', and a run reads 'x'"),
        (OtaModule(KEY, "m", "x", "d\u3000"), "Desc is 'd\\u3000', and a run reads 'd'"),
        (OtaModule(KEY, "m ", "x", "d"), "ModuleName is 'm ', and a run reads 'm'"),
        (OtaModule(KEY, "m", "\u2028", None), "AliasName is '\\u2028', and a run reads ''"),
        (OtaModule(KEY, "m", "a b", "d"), "a run refuses it: AliasName holds "),
        (OtaModule(KEY, "m", "x", "a\x07b"), "a run refuses it: Desc holds a control character (U+0007)"),
        (OtaModule(KEY, "m", "x", "a\0b"), "a run refuses it: "),
        (OtaModule(KEY, "m", "x", "NULL"), "a run refuses it: Desc is 'NULL'"),
        (OtaModule(KEY, "nan", "x", "d"), "a run refuses it: ModuleName is 'nan'"),
        (OtaModule(KEY, "m", "x", "d" * 101), "a run refuses it: Desc has 101 characters"),
    ],
)
def test_cell_that_a_run_reads_otherwise_or_refuses_is_named(form: str, module: OtaModule, reason: str) -> None:
    (found,) = named(form, PLAIN, module, PLAIN)

    assert found[:2] == (KEY, module.module_name)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_given_for_every_input_is_in_effect(form: str) -> None:
    assert not named(form, OtaModule(KEY, "m", "a b", "d"), lenient_alias=True)
    assert not named(form, OtaModule(KEY, "nan", "x", "d"), lenient_keys=True)
    assert not named(form, OtaModule(KEY, "m", "x", "NULL"), null_texts=("",))
    assert named(form, OtaModule(KEY, "m", "x", "none"), null_texts=("none",))


@pytest.mark.parametrize("form", FORMATS)
def test_row_that_can_not_be_told_from_the_next_is_named_alone(form: str) -> None:
    """Stand in for a reader that makes two rows of one, or none: rows behind it must not take the blame."""
    header, rows = written(form, PLAIN, PLAIN, PLAIN)
    settings = settings_for_reading_back(form, ReadSettings())
    doubled = [rows[0], Written(rows[1].row * 2, rows[1].module), rows[2]]
    empty = [rows[0], Written(b"\n", rows[1].module), rows[2]]

    assert [one.reason for one in read_otherwise(header, doubled, settings)] == ["it is read as 2 rows"]
    assert len(list(read_otherwise(header, empty, settings))) == 1


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        ["NULL", " a", "a ", '"', "'x", "=1", "\r", "\n", "\r\n", "\ufeff", "#a", "1E5", "2024-01-01", "-"]
    ),
)


@example(form="csv", modules=[("", "", ""), ("", "\x1f\x19", "\x1f\x19")])
@given(form=st.sampled_from(FORMATS), modules=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=6))
def test_rows_together_are_judged_as_each_is_alone(form: str, modules: list[tuple[str, str, str]]) -> None:
    wanted = [OtaModule(KEY, name or "m", alias, desc) for name, alias, desc in modules]

    together, alone = named(form, *wanted), [one for module in wanted for one in named(form, module)]

    assert len(together) == len(alone)
    # Alone, a row of control characters is a file that is no text: it is refused as well, for this reason.
    assert [
        one for one, other in zip(together, alone, strict=True) if one != other and NO_TEXT not in other.reason
    ] == []
