from __future__ import annotations

import gzip
import hashlib
import io
import os
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError, SettingsError
from bulk.rows import open_input
from bulk.rows.text import lines as lines_module
from bulk.rows.text.source import open_bytes
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.rows import RowReader

    Row = tuple[Any, ...]
    Read = Callable[..., list[Row]]

WORKBOOKS = Path(__file__).parents[2] / "data" / "workbooks"
TEXT = "ProductKey,ModuleName,AliasName\na1,mcu,主控\na1,wifi,无线\n"
JSONL = '{"ProductKey":"a1","ModuleName":"mcu","AliasName":"主控"}\n'


class Dribble:
    """A stream like a slow pipe: a few bytes at a time, and no way back."""

    def __init__(self, content: bytes, step: int) -> None:
        self._rest = io.BytesIO(content)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, self._step))


def names(rows: list[Row]) -> list[tuple[str | None, str | None]]:
    return [(row[2], row[3]) for row in rows]


@pytest.mark.parametrize("name", ["m.csv", "M.CSV", "a.b.csv"])
def test_format_is_told_by_the_name(read: Read, name: str) -> None:
    assert names(read(TEXT, name=name)) == [("mcu", "主控"), ("wifi", "无线")]


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.csv.gz", TEXT), ("m.csv", TEXT), ("m.tsv.gz", TEXT.replace(",", "\t")), ("m.ndjson.GZ", JSONL)],
)
def test_gzip_is_unpacked_whatever_the_name(read: Read, name: str, content: str) -> None:
    assert read(gzip.compress(content.encode()), name=name)[0][1:4] == ("a1", "mcu", "主控")


def test_gzip_of_several_members_is_read_to_its_end(read: Read) -> None:
    packed = gzip.compress(TEXT.encode()) + gzip.compress(b"a1,zigbee,\n")

    assert [row[2] for row in read(packed, name="m.csv.gz")] == ["mcu", "wifi", "zigbee"]


def test_format_that_was_said_wins_over_the_name(read: Read) -> None:
    assert len(read(JSONL, name="m.csv", format="jsonl")) == 1
    assert len(read(TEXT, name="export.txt", format="CSV")) == 2


@pytest.mark.parametrize("name", ["modules", "m.txt", "m.xlsx", "m.gz", "m.csv.zip"])
def test_name_that_tells_no_format_is_refused(read: Read, name: str) -> None:
    with pytest.raises(InputError, match="add --format csv, tsv or jsonl"):
        read(TEXT, name=name)


def test_unknown_format_is_refused(read: Read) -> None:
    with pytest.raises(SettingsError, match="choose csv, tsv or jsonl"):
        read(TEXT, format="xml")


@pytest.mark.parametrize(
    ("encoding", "writes"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-32", "utf-32")],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_encoding_is_told_by_its_mark(tmp_path: Path, encoding: str, writes: str, suffix: str) -> None:
    path = tmp_path / f"m.{suffix}"
    path.write_bytes((TEXT if suffix == "csv" else JSONL).encode(encoding))

    with open_input(str(path), ReadSettings()) as reader:
        rows = next(reader.batches()).valid

    assert rows[0][1:4] == ("a1", "mcu", "主控")
    assert reader.shape.encoding == writes


def test_utf_16_of_either_byte_order_is_read(read: Read) -> None:
    assert len(read(b"\xff\xfe" + TEXT.encode("utf-16-le"))) == 2
    assert len(read(b"\xfe\xff" + TEXT.encode("utf-16-be"))) == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_mark_is_refused_until_it_is_said(read: Read, encoding: str) -> None:
    with pytest.raises(InputError, match=f"add --encoding {encoding}"):
        read(TEXT.encode(encoding))

    assert len(read(TEXT.encode(encoding), encoding=encoding)) == 2


def test_encoding_that_was_said_is_used_unless_a_mark_proves_another(read: Read) -> None:
    assert names(read(TEXT.encode("gb18030"), encoding="gb18030")) == [("mcu", "主控"), ("wifi", "无线")]
    assert names(read(TEXT.encode("utf-8-sig"), encoding="gb18030")) == [("mcu", "主控"), ("wifi", "无线")]


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_first_line_of_undecodable_bytes_is_named_with_the_encodings_that_fit(
    read: Read, monkeypatch: pytest.MonkeyPatch, step: int, end: str
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", step)
    lines = ["ProductKey,ModuleName,AliasName", "a1,mcu,main", "a1,wifi,网关", "a1,zigbee,网关", "a1,x,"]

    with pytest.raises(InputError) as caught:
        read(end.join(lines).encode("gb18030"))

    assert caught.value.line == 3
    assert "line 3: byte 0xCD is not UTF-8; " in str(caught.value)
    assert "--encoding gb18030 reads '网关'" in str(caught.value)


def test_bytes_that_the_said_encoding_lacks_are_named_with_the_flag(read: Read) -> None:
    with pytest.raises(InputError, match=r"line 2: byte 0xE4 is not valid ascii; .*--encoding"):
        read(TEXT, encoding="ascii")


def test_file_that_ends_within_a_character_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="line 3: byte 0x0A is not valid utf-16-le"):
        read(("\ufeff" + TEXT).encode("utf-16-le")[:-1])


def test_utf_16_without_mark_is_told_by_few_ascii_characters(read: Read) -> None:
    text = "产品标识,模块名称\n" + "模块的名称一,主控\n" * 50

    with pytest.raises(InputError, match="add --encoding utf-16-be"):
        read(text.encode("utf-16-be"))


@pytest.mark.parametrize("said", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encoding_that_was_said_of_utf_8_is_refused(read: Read, said: str) -> None:
    with pytest.raises(InputError, match=f"--encoding {said} does not fit: it is UTF-8; leave --encoding out"):
        read(TEXT, encoding=said)


def test_other_byte_order_than_was_said_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="it looks like utf-16-be; add --encoding utf-16-be instead"):
        read(TEXT.encode("utf-16-be"), encoding="utf-16-le")


def test_halves_of_surrogate_pairs_are_refused(read: Read) -> None:
    with pytest.raises(InputError, match="line 4: a character is not valid utf-7"):
        read(TEXT.encode("utf-7") + b"a1,+2AA-,x\n", encoding="utf-7")


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "idna", "punycode", "undefined", "a\0b"])
def test_unknown_encoding_is_refused(read: Read, encoding: str) -> None:
    with pytest.raises(SettingsError, match="there is no such encoding; try utf-8, utf-16 or gb18030"):
        read(TEXT, encoding=encoding)


@pytest.mark.parametrize("cut", [5, 30])
def test_truncated_gzip_is_refused(read: Read, cut: int) -> None:
    with pytest.raises(InputError, match="the gzip data end too early"):
        read(gzip.compress(TEXT.encode())[:-cut], name="m.csv.gz")


def test_damaged_gzip_is_refused_with_the_line_that_was_reached(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 50)
    packed = bytearray(gzip.compress(TEXT.encode()))
    packed[-6] ^= 0xFF

    with pytest.raises(InputError, match="line 3: the gzip data are damaged"):
        read(bytes(packed), name="m.csv.gz")


def test_plain_file_that_is_called_gz_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="holds no gzip data"):
        read(TEXT, name="m.csv.gz")


def test_workbook_is_refused_with_what_to_do(read: Read) -> None:
    with pytest.raises(InputError, match="Excel workbook; save it as CSV"):
        read(b"PK\x03\x04 and so on", name="m.csv")


def test_missing_file_and_folder_are_told_apart(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"gone\.csv: there is no such file"),
        open_input(str(tmp_path / "gone.csv"), ReadSettings()),
    ):
        pass
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="this is a folder"), open_input(str(tmp_path / "folder.csv"), ReadSettings()):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").touch(mode=0o000)

    with pytest.raises(InputError, match="may not read it"), open_input(str(tmp_path / "m.csv"), ReadSettings()):
        pass


def test_path_that_no_system_takes_is_refused() -> None:
    with pytest.raises(InputError, match="no file can have this name"), open_input("a\0b.csv", ReadSettings()):
        pass


@pytest.mark.parametrize("step", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("csv", TEXT.encode()),
        ("csv", TEXT.encode("utf-16")),
        ("csv", gzip.compress(TEXT.encode("utf-8-sig"))),
        ("tsv", TEXT.replace(",", "\t").encode()),
        ("jsonl", (JSONL * 2).encode()),
    ],
)
def test_stdin_is_read_however_its_bytes_come(
    rows_of: Callable[[RowReader], list[Row]], kind: str, content: bytes, step: int
) -> None:
    with open_input("-", ReadSettings(format=kind), stdin=Dribble(content, step)) as reader:
        rows = rows_of(reader)

    assert len(rows) == 2
    assert rows[0][1:4] == ("a1", "mcu", "主控")
    assert reader.name == "-"


def test_stdin_of_the_process_is_the_default_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(TEXT.encode()))
    monkeypatch.setattr("sys.stdin", stdin)

    with open_input("-", ReadSettings(format="csv")) as reader:
        assert len(next(reader.batches())) == 2

    assert not stdin.closed


def test_stdin_that_was_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(InputError, match="there is no standard input"), open_input("-", ReadSettings(format="csv")):
        pass


def test_stdin_needs_its_format_said() -> None:
    with pytest.raises(InputError, match="add --format"), open_input("-", ReadSettings()):
        pass


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_have_at_least_the_size_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, lengths: list[int]
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", len("a1,m0\n"))
    path = tmp_path / "m.csv"
    path.write_text("ProductKey,ModuleName\n" + "".join(f"a1,m{n}\n" if n % 3 else "a1, \n" for n in range(7)))

    with open_input(str(path), ReadSettings()) as reader:
        batches = list(reader.batches(size))

    assert [len(batch) for batch in batches] == lengths
    assert [row[0] for batch in batches for row in batch.valid] == [3, 4, 6, 7]
    assert [row[0] for batch in batches for row in batch.invalid] == [2, 5, 8]


def test_file_is_closed_behind_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(TEXT * 2_000, encoding="utf-8")

    with open_bytes(str(path)) as opened:
        opened.stream.read(10)

    with pytest.raises(ValueError, match="closed file"):
        opened.stream.read(len(TEXT.encode()) * 2_000)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "line 1: it can't be read: Input/output error"),
        (PermissionError(13, "Permission denied"), "this user may not read it"),
    ],
)
def test_stream_that_fails_is_refused_with_what_the_system_says(error: OSError, reason: str) -> None:
    class Failing:
        def __init__(self) -> None:
            self._rest = io.BytesIO(b"Prod")

        def read(self, size: int, /) -> bytes:
            if self._rest.tell() == 4:
                raise error
            return self._rest.read(size)

    with pytest.raises(InputError, match=reason), open_input("-", ReadSettings(format="csv"), stdin=Failing()):
        pass


@pytest.mark.parametrize("length", [lines_module.MAX_RECORD_CHARS + 1, 5 * lines_module.MAX_RECORD_CHARS])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_line_longer_than_a_record_may_be_is_one_line(read: Read, length: int, end: str) -> None:
    content = f"ProductKey,ModuleName\na1,one\n{'x' * length}{end}" + (f"a1,two{end}" if end else "")

    rows = read(content)

    assert [(row[0], row[2]) for row in rows] == (
        [(2, "one"), (3, None), (4, "two")] if end else [(2, "one"), (3, None)]
    )


def test_last_characters_that_a_codec_holds_back_are_read(read: Read) -> None:
    rows = read("ProductKey,ModuleName,AliasName\na1,mcu,主控".encode("utf-7").removesuffix(b"-"), encoding="utf-7")

    assert rows[0][3] == "主控"


class Endless:
    """A good line, and a line of a hundred megabytes."""

    def __init__(self) -> None:
        self._head = io.BytesIO(JSONL.encode())
        self._left_bytes = 100 * 1024 * 1024

    def read(self, size: int, /) -> bytes:
        head = self._head.read(size)
        size = 0 if head else min(size, self._left_bytes)
        self._left_bytes -= size
        return head or b"x" * size


def test_memory_stays_flat_however_long_a_line_is() -> None:
    tracemalloc.start()
    with open_input("-", ReadSettings(format="jsonl"), stdin=Endless()) as reader:
        batches = list(reader.batches())
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [(len(batch.valid), len(batch.invalid)) for batch in batches] == [(1, 1)]
    assert peak_bytes < 16 * 1024 * 1024


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.jsonl", "openpyxl.xlsx"])
def test_the_hash_is_that_of_the_bytes_that_were_read(name: str, tmp_path: Path) -> None:
    content = {
        "m.csv": TEXT.encode() * 20_000,
        "m.csv.gz": gzip.compress(TEXT.encode()) + gzip.compress(b"a1,late,\n"),
        "m.jsonl": JSONL.encode() * 5_000,
    }.get(name) or (WORKBOOKS / name).read_bytes()
    path, other = tmp_path / name, tmp_path / "other"
    path.write_bytes(content)
    other.write_bytes(b"another file")

    with open_input(str(path), ReadSettings()) as reader:
        for _ in reader.batches():
            pass
        other.replace(path)
        found = reader.sha256()

    assert found == hashlib.sha256(content).hexdigest()


def test_bytes_that_nobody_has_read_yet_are_hashed_too(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(TEXT * 20_000, encoding="utf-8")

    with open_input(str(path), ReadSettings()) as reader:
        found = reader.sha256()

    assert found == hashlib.sha256(path.read_bytes()).hexdigest()


def test_stdin_and_a_pipe_have_no_hash(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=(TEXT,))
    with open_input("-", ReadSettings(format="csv"), stdin=io.BytesIO(TEXT.encode())) as reader:
        of_stdin = reader.sha256()
    writer.start()
    with open_input(str(fifo), ReadSettings(format="csv")) as reader:
        of_pipe = reader.sha256()
    writer.join()

    assert (of_stdin, of_pipe) == ("", "")
