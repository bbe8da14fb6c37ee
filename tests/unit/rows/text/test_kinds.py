"""What is no table of text is named by its bytes, whatever its name, with a way that works when it is pasted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
import shutil
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Row = tuple[Any, ...]
    Read = Callable[..., list[Row]]

TABLE = "ProductKey,ModuleName,AliasName\na1,mcu,主控\n"


def zipped(*names: str, content: bytes = TABLE.encode()) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(TABLE.encode())
        archive.addfile(entry, io.BytesIO(TABLE.encode()))
    return packed.getvalue()


def open_document() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<x/>")
    return packed.getvalue()


KINDS = {
    "Excel workbook": [
        zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"),
        zipped("docProps/app.xml", "docProps/core.xml", "_rels/.rels"),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    ],
    "OpenDocument workbook": [open_document()],
    "Numbers workbook": [zipped("Index/Document.iwa", "Metadata/Properties.plist")],
    "zip archive": [zipped("modules.csv"), zipped("a/b.tsv", "c.txt"), zipped("x.bin"), b"PK\x05\x06" + b"\0" * 18],
    "7z archive": [b"7z\xbc\xaf\x27\x1c\0\4"],
    "rar archive": [b"Rar!\x1a\x07\x01\0"],
    "tar archive": [tarred("modules.csv"), gzip.compress(tarred("modules.csv"))],
    "zstd": [b"\x28\xb5\x2f\xfd\x04\x58"],
    "bzip2": [bz2.compress(TABLE.encode()), bz2.compress(b"")],
    "xz": [lzma.compress(TABLE.encode())],
    "lz4": [b"\x04\x22\x4d\x18\x64\x40"],
    "gzip three times": [gzip.compress(gzip.compress(gzip.compress(TABLE.encode())))],
    "PDF": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"],
    "RTF": [rb"{\rtf1\ansi ProductKey}"],
    "HTML page": [
        b"<!DOCTYPE html><html><body>Please log in</body></html>",
        b"\n\n<HTML lang=en>",
        "\ufeff<table><tr><td>ProductKey".encode("utf-16"),
        b"\xef\xbb\xbf<!-- saved --> <head>",
        gzip.compress(b"<html></html>"),
    ],
    "saved as XML": [b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook>'],
    "XML document": [b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', b"<rows>\n <row>"],
    "Parquet": [b"PAR1\x15\x04\x15"],
    "Avro": [b"Obj\x01\x04\x16avro.codec"],
    "SQLite": [b"SQLite format 3\0\x10\0"],
    "image": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"],
    "encrypted": [b"-----BEGIN PGP MESSAGE-----\n", b"age-encryption.org/v1\n"],
    "Git LFS": [b"version https://git-lfs.github.com/spec/v1\noid sha256:1"],
    "script of SQL": [b"-- MySQL dump 10.13\n", b"INSERT INTO modules VALUES (1);", b"\ncreate table x (y int);"],
    "YAML": [b"- ProductKey: a1\n  ModuleName: mcu\n", b"---\n- ProductKey: a1\n"],
    "nothing but NUL bytes": [b"\0" * 4096],
    "no text": [random.Random(1).randbytes(5_000), random.Random(2).randbytes(300), b"\x01\x02\0\0\x03" * 40],
}


@pytest.mark.parametrize(("kind", "content"), [(kind, each) for kind, contents in KINDS.items() for each in contents])
@pytest.mark.parametrize("name", ["modules.csv", "book.xlsx", "m.jsonl", "unnamed"])
def test_kind_is_named_at_once_whatever_the_name(read: Read, kind: str, content: bytes, name: str) -> None:
    with pytest.raises(InputError, match=re.escape(kind)) as caught:
        read(content, name=name)

    assert "--format csv" not in str(caught.value).replace("(--format tsv)", "")


@pytest.mark.parametrize("content", [each for contents in KINDS.values() for each in contents])
def test_kind_is_named_from_a_pipe_that_gives_a_byte_at_a_time(content: bytes) -> None:
    class Dribble:
        rest = io.BytesIO(content)

        def read(self, _size: int, /) -> bytes:
            return self.rest.read(1)

    with (
        pytest.raises(InputError, match="this is"),
        open_input("-", ReadSettings(format="csv"), stdin=Dribble()),
    ):
        pass


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        ("unzip", "it's.zip", zipped("a b/modules.csv")),
        ("unzip", "-m.csv", zipped("modules.csv")),
        ("tar", "m.tar", tarred("modules.csv")),
        ("tar", "m.tgz", gzip.compress(tarred("modules.csv"))),
        ("bzip2", "m.csv.bz2", bz2.compress(TABLE.encode())),
        ("xz", "模块.csv.xz", lzma.compress(TABLE.encode())),
        ("gzip", "m.csv.gz", gzip.compress(gzip.compress(gzip.compress(TABLE.encode())))),
    ],
)
def test_way_works_when_it_is_pasted(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, name: str, content: bytes
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught, open_input(name, ReadSettings()):
        pass
    command = re.findall(r"`([^`]+)`", str(caught.value))[0]
    before = set(tmp_path.iterdir())

    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)

    (made,) = set(tmp_path.iterdir()) - before
    assert [row[1:4] for row in read(made.read_bytes(), name="again.csv")] == [("a1", "mcu", "主控")]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-16"),
        (TABLE + "a1,x,模块一二三四五\n" * 500).encode("utf-16"),
        TABLE.encode() + b"a1,wifi,x\0y\n",
        TABLE.encode() + b"\0" * 3_000,
        b"<ProductKey>,<ModuleName>\na1,mcu\n",
        b"\x1aProductKey,ModuleName\na1,mcu\n",
    ],
)
def test_table_is_taken_for_nothing_else(read: Read, content: bytes) -> None:
    assert next(row[1:3] for row in read(content) if row[6] is None) == ("a1", "mcu")


@pytest.mark.parametrize("layers", [1, 2])
def test_gzip_in_gzip_is_unpacked(read: Read, layers: int) -> None:
    content = TABLE.encode()
    for _ in range(layers):
        content = gzip.compress(content)

    assert len(read(content, name="m.csv.gz")) == 1
