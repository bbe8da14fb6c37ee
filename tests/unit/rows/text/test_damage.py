"""Bytes in another encoding: a row, or the file; and no advice that does harm when it is followed."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.legible import legible
from bulk.rows import cells, encode_record, fields, handler_for, open_input
from bulk.rows.text import lines as lines_module
from bulk.rows.text.damage import Damage
from bulk.rows.text.encodings import likely_readings
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Row = tuple[Any, ...]
    Read = Callable[..., list[Row]]

HEADER = b"ProductKey,ModuleName,AliasName,Desc\n"
SOUND = "a1,wifi,灯控,x\n".encode()
ASCII = b"a1,zigbee,,x\n"
DAMAGED = b"a1,led,,caf\xe9 lamp\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("主控", "gb18030"),
        ("无线模块", "gb18030"),
        ("LED灯", "gb18030"),
        ("螢幕", "big5"),
        ("主機板模組", "big5"),
        ("メインボード", "shift_jis"),
        ("電源", "shift_jis"),
        ("㈱電源", "cp932"),
        ("조명 모듈", "euc_kr"),
        ("café lamp", "cp1252"),
        ("Größe", "cp1252"),
        ("naïve – “x”", "cp1252"),
    ],
)
def test_encoding_that_a_cell_is_in_is_among_those_shown_with_the_cell_as_it_was(text: str, encoding: str) -> None:
    assert (encoding, text) in likely_readings([f"a1,mcu,{text},x\n".encode(encoding)])


@pytest.mark.parametrize("text", ["メインボード", "café lamp", "naïve – “x”"])
def test_encodings_that_make_nonsense_are_not_shown(text: str) -> None:
    encoding = "cp1252" if "a" in text else "shift_jis"

    assert likely_readings([text.encode(encoding)]) == [(encoding, text)]


@pytest.mark.parametrize(
    ("text", "encoding"), [("螢幕", "big5"), ("主控", "gb18030"), ("基板", "shift_jis"), ("Gerät", "cp1252")]
)
def test_advice_shows_what_it_leads_to(read: Read, text: str, encoding: str) -> None:
    content = HEADER + f"a1,lcd,,{text}\n".encode(encoding)

    with pytest.raises(InputError) as caught:
        read(content)

    shown = dict(re.findall(r"--encoding (\S+) reads '([^']+)'", str(caught.value)))
    shown |= {
        name: cell for cell, name in re.findall(r"if '([^']+)' reads right, add --encoding ([^;]+);", str(caught.value))
    }
    assert shown[encoding] == text
    for name, cell in shown.items():
        assert read(content, encoding=name)[0][4] == cell


@pytest.mark.parametrize("step", [1, 7, 64 * 1024])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("rest", [[SOUND, SOUND], [ASCII, ASCII]])
def test_one_bad_byte_costs_its_row(
    read: Read, monkeypatch: pytest.MonkeyPatch, step: int, place: int, rest: list[bytes]
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", step)
    lines = [*rest[:place], DAMAGED, *rest[place:]]

    rows = read(HEADER + b"".join(lines))

    problems = [row[6] for row in rows]
    assert problems.pop(place) == "byte 0xE9 is not UTF-8 (as cp1252 it reads 'café lamp')"
    assert problems == [None, None]


def test_record_of_several_lines_with_a_bad_byte_is_one_invalid_row(read: Read) -> None:
    rows = read(HEADER + SOUND + b'a1,led,,"two\ncaf\xe9\n"\n' + SOUND)

    assert [(row[0], row[6] is None) for row in rows] == [(2, True), (3, False), (6, True)]


@pytest.mark.parametrize(
    "row",
    [
        b'a1,led,"x"y\xff,\n',  # can't be taken apart
        b"a1,led,,caf\xe9,\xe9\n",  # too many cells
        b"a1,led,,\xe7\x81\n",  # a character cut in two
        b"a1,led,,\xed\xa0\xbd\xed\xb8\x80\n",  # halves of a pair, as CESU-8 and Java write them
        b"a1,led,,\xc0\x80\n",
        b"\xff\n",
    ],
)
def test_damage_of_any_kind_costs_its_row(read: Read, row: bytes) -> None:
    rows = read(HEADER + SOUND + row + SOUND)

    assert [each[6] is None for each in rows] == [True, False, True]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_character_cut_off_at_the_end_costs_its_row(read: Read, end: bytes) -> None:
    rows = read(HEADER + SOUND + b"a1,led,,\xe7\x81" + end)

    assert [row[6] is None for row in rows] == [True, False]


def test_damage_in_a_column_that_is_carried_costs_the_row(read: Read) -> None:
    rows = read(b"ProductKey,ModuleName,note\n" + "a1,x,主控\n".encode() * 99 + b"a1,y,\xe9\n", lenient_alias=True)

    assert [row[2] for row in rows if row[6]] == [None]
    assert len(rows) == 100


def test_line_of_json_with_a_bad_byte_is_invalid_and_the_others_go_on(read: Read) -> None:
    good = '{"ProductKey":"a1","ModuleName":"x","AliasName":"灯"}\n'.encode()

    rows = read(good + b'{"ProductKey":"a1","ModuleName":"y","Desc":"caf\xe9"}\n' + good, name="m.jsonl")

    assert [row[2] for row in rows] == ["x", None, "x"]
    assert "byte 0xE9 is not UTF-8" in str(rows[1][6])


def test_half_of_a_pair_in_utf_16_costs_its_row(read: Read) -> None:
    content = "\ufeffProductKey,ModuleName,AliasName\na1,x,主控\na1,y,\ud83d\na1,z,主控\n"

    rows = read(content.encode("utf-16-le", "surrogatepass"))

    assert [row[2] for row in rows] == ["x", None, "z"]
    assert rows[1][6] == "half of a character (U+D83D) is not valid utf-16-le"


def test_said_encoding_is_as_forgiving(read: Read) -> None:
    rows = read(HEADER + "a1,x,主控,\n".encode("gb18030") + b"a1,y,\xff,\n", encoding="gb18030")

    assert [row[2] for row in rows] == ["x", None]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("sound_lines", [0, 1, 5_000])
def test_file_in_another_encoding_is_refused_as_a_whole(read: Read, end: bytes, sound_lines: int) -> None:
    foreign = "a1,led,主控模块,x".encode("gb18030") + end
    content = HEADER + ASCII * sound_lines + foreign * (2 + sound_lines // 20)

    with pytest.raises(InputError, match=f"line {sound_lines + 2}: byte 0xD6 is not UTF-8"):
        read(content)


def test_header_with_a_bad_byte_is_refused_with_its_line(read: Read) -> None:
    content = b"ProductKey,ModuleName," + "备注".encode("gb18030") + b"\n" + SOUND[:8] * 3

    with pytest.raises(InputError, match=r"line 1: byte 0xB1 is not UTF-8; .*--encoding gb18030 reads '备注'"):
        read(content)


def test_header_in_another_encoding_is_not_called_a_header_without_columns(read: Read) -> None:
    with pytest.raises(InputError, match="--encoding gb18030 reads '产品标识'"):
        read("产品标识,ModuleName\na1,mcu\n".encode("gb18030"))


@pytest.mark.parametrize(
    ("damaged", "byte_count", "lines", "sound_bytes", "costs"),
    [
        (0, 0, 10, 0, False),
        (1, 1, 3, 8, False),
        (1, 1, 2, 0, False),
        (1, 1, 1, 0, True),
        (2, 4, 100, 0, True),
        (2, 4, 200, 0, False),
        (500, 1_000, 1_000, 1_000, False),
        (500, 1_001, 1_000, 1_000, True),
    ],
)
def test_larger_part_decides_whether_the_file_is_in_another_encoding(
    damaged: int, byte_count: int, lines: int, sound_bytes: int, costs: bool
) -> None:
    damage = Damage("utf-8", lines=damaged, byte_count=byte_count)

    assert damage.costs_the_file(lines=lines, sound_bytes=sound_bytes) is costs


@pytest.mark.parametrize("said", ["gb18030", "gbk", "big5", "shift_jis", "cp1252", "latin-1", "cp1251", "ascii"])
@pytest.mark.parametrize("text", ["灯板", "灯控模块", "café"])
def test_encoding_that_was_said_of_utf_8_is_refused(read: Read, said: str, text: str) -> None:
    with pytest.raises(InputError, match=rf"--encoding {said} does not fit: it is UTF-8.*; leave --encoding out"):
        read(HEADER + f"a1,led,,{text}\n".encode(), encoding=said)


@pytest.mark.parametrize("before", [0, 10_000])
def test_encoding_that_was_said_of_utf_8_is_refused_wherever_that_shows(read: Read, before: int) -> None:
    with pytest.raises(InputError, match="it is UTF-8"):
        read(HEADER + ASCII * before + "a1,led,,灯\n".encode(), encoding="gb18030")


@pytest.mark.parametrize("text", ["主控", "模块", "模", "模模模模", "路灯"])
def test_encoding_that_was_said_and_fits_is_used(read: Read, text: str) -> None:
    assert read(HEADER + f"a1,led,{text},\n".encode("gb18030"), encoding="gb18030")[0][3] == text


@pytest.mark.parametrize("content", [ASCII, b""])
def test_encoding_that_was_said_of_ascii_is_used(read: Read, content: bytes) -> None:
    assert len(read(HEADER + content, encoding="gb18030")) == bool(content)


@pytest.mark.parametrize(
    ("name", "encoding", "content"),
    [
        ("m.csv", None, HEADER + SOUND + DAMAGED),
        ("m.csv", None, HEADER + SOUND + b'a1,"x"\xff,y\n'),
        ("m.csv", "gb18030", HEADER + "a1,x,主控,\n".encode("gb18030") + b"a1,y,\xff,\n"),
        ("m.csv", None, ("\ufeff" + HEADER.decode() + "a1,y,\ud83d,\n").encode("utf-16-le", "surrogatepass")),
        (
            "m.jsonl",
            None,
            '{"ProductKey":"a1","ModuleName":"x","AliasName":"灯"}\n'.encode()
            + b'{"ProductKey":"a1","ModuleName":"y","Desc":"caf\xe9","n":"\\ud83d\\udca9"}\n',
        ),
    ],
)
def test_damaged_row_is_kept_legibly_and_written_again_byte_by_byte(
    tmp_path: Path, name: str, encoding: str | None, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    with open_input(str(tmp_path / name), ReadSettings(encoding=encoding)) as reader:
        (record,) = [row[1] for batch in reader.batches() for row in batch.invalid]

    record.encode()
    shown = [*fields(reader.shape, record).values()]
    assert [legible(str(each)) for each in shown] == [str(each) for each in shown]
    if name == "m.csv":
        assert all(cell == legible(cell) for cell in cells(reader.shape, record))
    again = encode_record(reader.shape, record).encode(reader.shape.encoding, handler_for(reader.shape.encoding))
    assert content.endswith(again.removeprefix(b"\xff\xfe"))


def test_text_in_another_encoding_is_refused_before_all_of_a_long_file_is_read(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 4_096)
    rows = "".join(f"a1,m{number},网关{number % 97},\n" for number in range(30_000)).encode("gb18030")
    torn = gzip.compress(HEADER + rows, compresslevel=1)[:-100]

    # If its end were read, that would be the error.
    with pytest.raises(InputError, match="gb18030"):
        read(torn, name="m.csv.gz")


def test_chinese_punctuation_speaks_for_the_encoding_that_has_it(read: Read) -> None:
    rows = read(HEADER + "a1,m,灯光，模块。,\n".encode("gb18030"))

    assert "(as gb18030 it reads '灯光，模块。'" in rows[0][6]
