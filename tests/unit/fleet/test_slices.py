"""A slice gives back the rows that were put in, whatever is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.fleet.slices import read_slice, slice_line

if TYPE_CHECKING:
    from bulk.model.inputs import InvalidRow, ValidRow

VALID: list[ValidRow] = [
    (2, "pk1", "mcu", "", "", '[1,2,"\\u4e2d"]'),
    (3, "pk1", 'a"b\nc', "别名", "d\u2028e", "[]"),
]
INVALID: list[InvalidRow] = [(4, '["\udce4"]', "encoding", "not UTF-8: \udce4", None), (5, "[]", "empty", "", "eu")]


def test_rows_come_back_as_they_were_read() -> None:
    lines = [slice_line("eu", VALID[0]), slice_line("cn", VALID[1]), *(slice_line(None, row) for row in INVALID)]

    (rows,) = read_slice(lines)

    assert all(line.count(b"\n") == 1 for line in lines)
    assert rows.accounts == ["eu", "cn"]
    assert rows.valid == VALID
    assert rows.invalid == INVALID


def test_rows_come_in_batches_of_bounded_size() -> None:
    assert [len(rows) for rows in read_slice([slice_line("eu", VALID[0])] * 25, size=10)] == [10, 10, 5]


def test_slice_of_an_account_without_rows_is_read_as_none() -> None:
    assert [*read_slice([])] == []
    assert [len(rows) for rows in read_slice([slice_line("eu", VALID[0])] * 20, size=10)] == [10, 10]
