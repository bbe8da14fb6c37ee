"""Whatever is written as CSV or JSONL is read again as it was; whatever bytes come, nothing is lost or made up."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import string
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk.errors import InputError, SettingsError
from bulk.rows import cells, encode_header, encode_record, fields, open_input
from bulk.rows.spoiled import NOT_KEYS, NULLS
from bulk.rows.text import lines as lines_module
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk.model import ReadRows
    from bulk.rows import InputShape
    from bulk.rows.text.source import ByteStream

    Row = tuple[int, str | None, str | None, str | None, str | None, str, str | None]
    """Line, the four fields, record and problem: ``None`` what is absent, or of no use in an invalid row."""

HEADER = ["ProductKey", "ModuleName", "AliasName", "Desc", "note"]
JSON_HEAD = '{"ProductKey":"a0","ModuleName":"b"}\n'
CHUNK_BYTES = st.sampled_from([1, 7, 64, 64 * 1024])

name = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64).filter(
    lambda value: value.casefold() != "default" and value not in NULLS - {"-", "--"}
)
key = st.text(string.ascii_letters + string.digits + "*", min_size=1, max_size=20).filter(
    lambda value: value.casefold() not in NOT_KEYS
)
alias = st.text(string.ascii_letters + "主控无线模块〇._-", max_size=64).filter(lambda value: value not in NULLS)
printable = st.characters(codec="gb18030", exclude_categories=["C", "Z"], include_characters=" \n,;\t\"'")
desc = (
    st.text(printable, max_size=100)
    .map(str.strip)
    .filter(lambda value: value not in NULLS and not value.startswith('="'))
)
note = st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=20)
row = st.tuples(key, name, alias, desc, note)


def read(content: bytes, chunk_bytes: int, **how: Any) -> tuple[InputShape, list[Row]]:
    """Read through a stream that gives its bytes in chunks of this size."""
    usual, lines_module.CHUNK_BYTES = lines_module.CHUNK_BYTES, chunk_bytes
    try:
        with open_input("-", ReadSettings(**how), stdin=io.BytesIO(content)) as reader:
            return reader.shape, sorted(found for batch in reader.batches(3) for found in _rows(batch))
    finally:
        lines_module.CHUNK_BYTES = usual


def _rows(batch: ReadRows) -> Iterator[Row]:
    for line, key, name, alias, desc, record in batch.valid:
        yield line, key, name, alias or None, desc or None, _whole(record, (key, name, alias, desc)), None
    for line, record, _, problem, _ in batch.invalid:
        yield line, None, None, None, None, record, problem


def _whole(record: str, fields: tuple[str, ...]) -> str:
    if record.startswith("{"):
        return record
    found = orjson.loads(record)
    return orjson.dumps([fields[cell] if isinstance(cell, int) else cell for cell in found]).decode()


def encoded(values: Iterable[str], delimiter: str, quoting: Any) -> str:
    """Return a record without line end; only a writer whose own line end is CR LF quotes either of them in a cell."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerow(values)
    return text.getvalue().removesuffix("\r\n")


def line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(row, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    chunk_bytes=CHUNK_BYTES,
)
def test_csv_is_read_as_it_was_written(
    rows: list[tuple[str, ...]], delimiter: str, encoding: str, end: str, quoting: Any, chunk_bytes: int
) -> None:
    text = encoded(HEADER, delimiter, quoting) + end
    lines = []
    for values in rows:
        lines.append(1 + line_ends(text))
        text += encoded(values, delimiter, quoting) + end

    content = text.encode(encoding)
    shape, found = read(content, chunk_bytes, format="csv", delimiter=delimiter, encoding=encoding)

    assert [(line, *rest[:4], rest[5]) for line, *rest in found] == [
        (line, pk, mn, an or None, de or None, None) for line, (pk, mn, an, de, _) in zip(lines, rows, strict=True)
    ]
    assert [cells(shape, stored[5]) for stored in found] == [list(values) for values in rows]

    again = encode_header(shape) + "".join(encode_record(shape, stored[5]) for stored in found)
    _, reread = read(again.encode(shape.encoding), chunk_bytes, format="csv", delimiter=delimiter, encoding=encoding)
    assert [stored[1:] for stored in reread] == [stored[1:] for stored in found]


@settings(deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=12),
    blanks=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    chunk_bytes=CHUNK_BYTES,
)
def test_jsonl_is_read_as_it_was_written(
    rows: list[tuple[str, ...]], blanks: list[int], end: str, encoding: str, chunk_bytes: int
) -> None:
    texts = [orjson.dumps(dict(zip(HEADER, values, strict=True))).decode() for values in rows]
    content, expected, line = "", [], 1
    for text, (pk, mn, an, de, _), blank in zip(texts, rows, blanks, strict=False):
        line += blank
        expected.append((line, pk, mn, an or None, de or None, text, None))
        content += end * blank + text + end
        line += 1

    _, found = read(content.encode(encoding), chunk_bytes, format="jsonl", encoding=encoding)

    assert found == expected


def physical_lines(content: bytes) -> int:
    return len(io.StringIO(content.decode(errors="replace"), newline="").readlines())


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=200) | st.text('a1,;"\n\r\0主 {}[]:', max_size=60).map(str.encode),
    kind=st.sampled_from(["csv", "tsv", "jsonl"]),
    with_header=st.booleans(),
    encoding=st.sampled_from([None, "utf-8", "gb18030", "utf-16-le", "latin-1", "utf-7"]),
    chunk_bytes=CHUNK_BYTES,
)
@example(body=b' "\0', kind="csv", with_header=False, encoding=None, chunk_bytes=64)
@example(body=b"{:[{", kind="csv", with_header=False, encoding=None, chunk_bytes=64)
@example(body=b'a,b\n"', kind="csv", with_header=True, encoding=None, chunk_bytes=1)
@example(body=b"\x1f\x8b\x08\x00", kind="csv", with_header=False, encoding=None, chunk_bytes=64)
def test_any_bytes_are_refused_with_a_reason_or_read_line_by_line(
    body: bytes, kind: str, with_header: bool, encoding: str | None, chunk_bytes: int
) -> None:
    head = {"csv": b"ProductKey,ModuleName\n", "tsv": b"ProductKey\tModuleName\n"}.get(
        kind, b'{"ProductKey":"a","ModuleName":"b"}\n'
    )
    content = head + body if with_header else body

    try:
        _, found = read(content, chunk_bytes, format=kind, encoding=encoding)
    except (InputError, SettingsError):
        return

    lines = [stored[0] for stored in found]
    assert lines == sorted(set(lines))
    assert all((stored[6] is None) == (stored[1] is not None and stored[2] is not None) for stored in found)
    if encoding in {None, "utf-8"} and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b")):
        assert all(1 <= line <= physical_lines(content) for line in lines)


CSV_RECORDS = st.sampled_from(
    [
        "a1,mcu,主控,Main board,x",
        "a1, mcu ,,,",
        "a1,mo dule,,,",
        'a1,"wifi","无线","x, ""y""",3',
        'a1,mcu,,"two\nlines",',
        "a1,mcu,,,a\0b",
        "a1,,,,",
        "a1,default,,,",
        f"a1,{'x' * 65},,,",
        f"a1,mcu,,{'x' * 101},",
        "a1,mcu,é,,",
        "a1,mcu",
        "a1,mcu,,,,,",
        'a1,"mcu"x,,,',
        ",,,,",
        "",
        ",".join(HEADER),
    ]
)
JSON_RECORDS = st.sampled_from(
    [
        '{"ProductKey":"a1","ModuleName":"mcu","AliasName":"主控","Desc":"Main board","note":[0,1]}',
        '{"ProductKey":"a1","ModuleName":"mcu"}',
        ' {"ProductKey":"a1","ModuleName":"mcu","Desc":null} ',
        '{"ProductKey":"a1","ModuleName":"mcu","Desc":""}',
        '{"ProductKey":7,"ModuleName":"mcu"}',
        '{"ProductKey":"a1","ModuleName":"mcu","ModuleName":"wifi"}',
        '{"ProductKey":"a1","ModuleName":"mcu","Desc":"a \\"b\\": c"}',
        '{"ProductKey":"a1","ModuleName":"mo dule"}',
        '{"ProductKey":"a1","product_key":"a2","ModuleName":"mcu"}',
        '{"ProductKey":"a1","ModuleName":["mcu"]}',
        "[0,1,2,3]",
        "{",
        "",
    ]
)


@settings(deadline=None)
@given(records=st.lists(CSV_RECORDS, min_size=1, max_size=100) | st.lists(JSON_RECORDS, min_size=1, max_size=100))
@example(records=["a1,mcu,主控,Main board,x"] * 99 + ["a1,mcu,,,a\0b"])
def test_a_row_is_judged_alike_whatever_stands_beside_it(records: list[str]) -> None:
    kind, head = (
        ("jsonl", JSON_HEAD)
        if any(record.strip().startswith(("{", "[")) for record in records)
        else ("csv", ",".join(HEADER) + "\n")
    )

    _, found = read((head + "".join(record + "\n" for record in records)).encode(), 64 * 1024, format=kind)

    expected, line = [], 1 + head.count("\n")
    for record in records:
        _, alone = read((head + record + "\n").encode(), 64 * 1024, format=kind)
        expected += [(line, *row[1:]) for row in alone if row[0] > head.count("\n")]
        line += 1 + record.count("\n")
    assert [row for row in found if row[0] > head.count("\n")] == expected


class Dribble:
    """A stream that gives its bytes in pieces of these sizes, over and over."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._rest = io.BytesIO(content)
        self._sizes = itertools.cycle(sizes)

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, next(self._sizes)))


def outcome_of(stdin: ByteStream, kind: str) -> object:
    try:
        with open_input("-", ReadSettings(format=kind), stdin=stdin) as reader:
            return [found for batch in reader.batches() for found in _rows(batch)]
    except InputError as exc:
        return str(exc)


@settings(deadline=None)
@given(
    content=st.lists(CSV_RECORDS | JSON_RECORDS, max_size=20).map("\n".join).map(str.encode) | st.binary(max_size=80),
    kind=st.sampled_from(["csv", "jsonl"]),
    packed=st.booleans(),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    damage=st.none() | st.integers(0, 200),
)
def test_the_same_bytes_are_the_same_input_however_they_come(
    content: bytes, kind: str, packed: bool, sizes: list[int], damage: int | None
) -> None:
    head = (",".join(HEADER) + "\n" if kind == "csv" else JSON_HEAD).encode() + "a1,x,主控,,\n".encode()
    content = head + content
    content = content if damage is None else content[:damage] + b"\xe9" + content[damage:]
    content = gzip.compress(content) if packed else content

    assert outcome_of(Dribble(content, sizes), kind) == outcome_of(io.BytesIO(content), kind)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NUMBERS_AS_WRITTEN = st.sampled_from(["123456789012345678901234", "1.10", "1e400", "-0", "1E+2", "0.1e-7"])
NEIGHBOURS = st.sampled_from(
    [
        "",
        "{",
        "null",
        "[1]",
        '{"ProductKey":"a1"}',
        "\udce9",
        '{"ProductKey":"a1","ModuleName":"\udcff"}',
        "{}{}",
        "\x00",
    ]
)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(row, JSON_VALUES, NUMBERS_AS_WRITTEN, st.booleans()), min_size=1, max_size=6),
    before=st.lists(st.lists(NEIGHBOURS, max_size=2), min_size=6, max_size=6),
    chunk_bytes=CHUNK_BYTES,
)
def test_valid_json_row_is_what_a_plain_reader_reads_whatever_its_neighbours(
    rows: list[tuple[tuple[str, ...], object, str, bool]], before: list[list[str]], chunk_bytes: int
) -> None:
    # Whatever is damaged, far more is sound: else the file would be taken for one in another encoding.
    lines, texts = ['{"ProductKey":"a0","ModuleName":"b","note":"%s"}' % ("主" * 99)], []
    for (values, carried, number, ascii_only), neighbours in zip(rows, before, strict=False):
        whole = json.dumps(dict(zip(HEADER, values, strict=True)) | {"more": carried}, ensure_ascii=ascii_only)
        texts.append(whole[:-1] + f', "number": {number}}}')
        lines += [*neighbours, texts[-1]]

    shape, found = read("\n".join(lines).encode("utf-8", "surrogateescape"), chunk_bytes, format="jsonl")

    valid = [stored for stored in found if stored[6] is None][1:]
    plain = [json.loads(text) for text in texts]
    assert [stored[1:5] for stored in valid] == [tuple(one[name] or None for name in HEADER[:4]) for one in plain]
    assert [encode_record(shape, stored[5]) for stored in valid] == [f"{text}\n" for text in texts]
    for stored, one, (_, _, number, _) in zip(valid, plain, rows, strict=True):
        exported = orjson.dumps(fields(shape, stored[5])).decode()
        assert json.loads(exported) == one
        assert exported.endswith(f":{number}}}")


@settings(deadline=None)
@given(
    texts=st.lists(st.text('a1,"x ', min_size=1, max_size=12), max_size=15),
    chunk_bytes=CHUNK_BYTES,
)
def test_every_line_that_says_something_is_in_one_record(texts: list[str], chunk_bytes: int) -> None:
    content = "ProductKey,ModuleName\n" + "".join(text + "\n" for text in texts)

    _, found = read(content.encode(), chunk_bytes, format="csv")

    covered = {
        stored[0] + offset
        for stored in found
        for offset in range(1 + sum(cell.count("\n") for cell in _cells_of(stored[5])))
    }
    telling = {line for line, text in enumerate(texts, 2) if text.strip(' ,"')}
    assert telling <= covered
    assert len(covered) == sum(1 + sum(cell.count("\n") for cell in _cells_of(stored[5])) for stored in found)


def _cells_of(record: str) -> list[str]:
    found = orjson.loads(record)
    return [found] if isinstance(found, str) else found
