"""Recognise by its first bytes a file that is no table of text, and say how to get a table from it. Pure.

One table of kinds, the most specific first. Each has a test of the bytes, a name, and a command or steps that work. In
these, FILE means the input, OUT a name beside it, and MEMBER the first file in an archive.
"""

from __future__ import annotations

import codecs
import re
import struct
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from bulk.rows.text.encodings import unmarked_wide_encoding
from bulk.shell import shell_path, shell_quote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HEAD_BYTES", "Kind", "foreign_kind"]

HEAD_BYTES = 64 * 1024
"""How much of an input is read to find its kind."""

AS_CSV = "open it and save the sheet as CSV (UTF-8), in Excel: File, Save As, CSV UTF-8"
AS_WORKBOOK = "read it with --format xlsx, or " + AS_CSV
AS_UNPACKED = "unpack it first: `{tool} < FILE > OUT`"
EXPORTED = "export the table as CSV or JSON lines with a program that reads it"

SHARE_OF_CONTROLS = 0.05
"""In a file that is no text, at least this share of the bytes are control characters."""

TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x1a\x1b")
CONTROLS = bytes(byte for byte in range(0x20) if byte not in TEXT_CONTROLS)

MARKS_OF_WIDE_TEXT = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""UTF-32's little-endian mark begins as UTF-16's does."""

ZIP_ENTRY = struct.Struct("<4s22xHH")
"""A zip archive's local header: signature, lengths of the name and of the extra field; the name follows."""

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".txt", ".json")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that can't be read as it is."""

    name: str
    looks: Callable[[bytes], object]
    """Returns a true value if these first bytes are of this kind."""

    way: str
    format: str | None = None
    """The format in which it can be read nevertheless."""


def foreign_kind(head: bytes, path: str, *, format: str | None = None) -> str | None:  # noqa: A002 - its name
    """Say what an input is, and how to get a readable table from it; ``None``: it may be one already.

    Args:
        head: The input's first `HEAD_BYTES`, unpacked if it was gzip.
        path: The input as the user named it.
        format: Format in which to read it; ``None``: as text.
    """
    kind = next((kind for kind in KINDS if kind.looks(head)), None)
    if kind is None or (kind.format and kind.format == format):
        return None
    words = {
        "FILE": "FILE" if path == "-" else shell_path(path),
        "OUT": "OUT.csv" if path == "-" else shell_path(str(_beside(PurePath(path)))),
        "MEMBER": shell_quote(_member(head) or "MEMBER"),
    }
    return re.sub(r"\b(?:FILE|OUT|MEMBER)\b", lambda word: words[word[0]], f"this is {kind.name}; {kind.way}")


def _beside(path: PurePath) -> PurePath:
    """Return a name for the file that is extracted from another."""
    stem, suffix = path.stem, path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return path.with_name(f"{stem}.unpacked{suffix}")
    return path.with_name(stem if stem.lower().endswith(TABLE_SUFFIXES) else f"{stem}.csv")


def _starts(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _matches(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)*\s*" + pattern, re.IGNORECASE).match


def _text_matches(pattern: bytes) -> Callable[[bytes], object]:
    """Return a test for ASCII text, also encoded as UTF-16."""
    looks = _matches(pattern)
    return lambda head: looks(head[:4096].replace(b"\0", b""))


def _zip_holds(*names: bytes) -> Callable[[bytes], bool]:
    """Return a test for a zip archive with such a file name or folder at its beginning."""
    return lambda head: (
        head.startswith(b"PK\x03\x04")
        and any(
            head.startswith(name, found.end() + ZIP_ENTRY.size - 4)
            for found in re.finditer(rb"PK\x03\x04", head)
            for name in names
        )
    )


def _is_open_document(head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04") and b"application/vnd.oasis.opendocument" in head[:200]


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _is_table_in_zip(head: bytes) -> bool:
    member = _member(head)
    return head.startswith(b"PK\x03\x04") and member is not None and member.lower().endswith(TABLE_SUFFIXES)


def _member(head: bytes) -> str | None:
    """Return the name of an archive's first file."""
    if _is_tar(head):
        return head[:100].split(b"\0")[0].decode("utf-8", "surrogateescape") or None
    if not head.startswith(b"PK\x03\x04") or len(head) < ZIP_ENTRY.size:
        return None
    _, name_bytes, _ = ZIP_ENTRY.unpack_from(head)
    return head[ZIP_ENTRY.size : ZIP_ENTRY.size + name_bytes].decode("utf-8", "surrogateescape") or None


def _is_blank_disk(head: bytes) -> bool:
    return bool(head) and not head.strip(b"\0")


def _is_no_text(head: bytes) -> bool:
    """Say whether the bytes are no text: with this many bad ones, not even damaged text, UTF-16 or UTF-32."""
    if head.startswith(MARKS_OF_WIDE_TEXT) or unmarked_wide_encoding(head):
        return False
    text = head.rstrip(b"\0")
    return len(text) - len(text.translate(None, CONTROLS)) > SHARE_OF_CONTROLS * len(text)


KINDS = (
    Kind("an empty disk block", _is_blank_disk, "nothing but NUL bytes is in it: the file was damaged, fetch it again"),
    Kind("an Excel workbook", _zip_holds(b"xl/"), AS_WORKBOOK, format="xlsx"),
    Kind("an OpenDocument workbook (.ods)", _is_open_document, AS_CSV),
    Kind(
        "a Numbers workbook",
        _zip_holds(b"Index/", b"Index.zip", b"preview.jpg", b"Metadata/"),
        "open it in Numbers and export it: File, Export To, CSV",
    ),
    Kind("a Word document", _zip_holds(b"word/"), EXPORTED),
    Kind(
        "an Excel workbook or another Office document",
        _zip_holds(b"[Content_Types].xml", b"_rels/", b"docProps/"),
        AS_WORKBOOK,
        format="xlsx",
    ),
    Kind(
        "a zip archive",
        _is_table_in_zip,
        "take the table out of it: `unzip -p FILE MEMBER > OUT`",
    ),
    Kind(
        "a zip archive or an Excel workbook",
        _starts(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
        "save it as CSV (UTF-8), or take the table out of the archive (`unzip -l FILE` lists what is in it)",
    ),
    Kind(
        "an Excel workbook of the old form (.xls), or one with a password",
        _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x09\x08\x10\x00\x00\x06", b"\x09\x08\x08\x00\x00\x05"),
        AS_CSV,
    ),
    Kind("a 7z archive", _starts(b"7z\xbc\xaf\x27\x1c"), "take the table out of it: `7z e -so FILE > OUT`"),
    Kind("a rar archive", _starts(b"Rar!\x1a\x07"), "take the table out of it: `unrar p -inul FILE > OUT`"),
    Kind(
        "a tar archive",
        _is_tar,
        "take the table out of it: `tar -xOf FILE MEMBER > OUT` (`tar -tf FILE` lists what is in it)",
    ),
    Kind("packed with zstd", _starts(b"\x28\xb5\x2f\xfd"), AS_UNPACKED.format(tool="zstd -dc")),
    Kind("packed with bzip2", _matches(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), AS_UNPACKED.format(tool="bzip2 -dc")),
    Kind("packed with xz", _starts(b"\xfd7zXZ\x00"), AS_UNPACKED.format(tool="xz -dc")),
    Kind("packed with lzma", _starts(b"\x5d\x00\x00"), AS_UNPACKED.format(tool="xz --format=lzma -dc")),
    Kind("packed with lz4", _starts(b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"), AS_UNPACKED.format(tool="lz4 -dc")),
    Kind("packed with lzip", _starts(b"LZIP\x01"), AS_UNPACKED.format(tool="lzip -dc")),
    Kind("packed with compress (.Z)", _starts(b"\x1f\x9d", b"\x1f\xa0"), AS_UNPACKED.format(tool="gzip -dc")),
    Kind("packed with snappy", _starts(b"\xff\x06\x00\x00sNaPpY"), "unpack it first"),
    Kind("packed with gzip three times or more", _starts(b"\x1f\x8b"), AS_UNPACKED.format(tool="gzip -dc")),
    Kind("a cabinet archive", _starts(b"MSCF\0\0\0\0"), "take the table out of it"),
    Kind("a PDF document", _matches(rb"%PDF-"), "ask for the table as CSV or as a workbook: a PDF holds no cells"),
    Kind("an RTF document", _matches(rb"\{\\rtf"), "save the table as CSV (UTF-8)"),
    Kind("a Parquet file", _starts(b"PAR1", b"PARE"), EXPORTED),
    Kind("an Avro file", _starts(b"Obj\x01"), EXPORTED),
    Kind("an ORC file", _starts(b"ORC\x08", b"ORC\x0a"), EXPORTED),
    Kind("an Arrow file", _starts(b"ARROW1\0\0", b"FEA1"), EXPORTED),
    Kind(
        "an SQLite database",
        _starts(b"SQLite format 3\0"),
        "export the table: `sqlite3 -header -csv FILE 'SELECT * FROM TABLE' > OUT`, with the table's own name",
    ),
    Kind("an Access database", _starts(b"\0\1\0\0Standard "), EXPORTED),
    Kind("an HDF5 file", _starts(b"\x89HDF\r\n"), EXPORTED),
    Kind("a pickle of Python", _matches(rb"\x80[\x02-\x05](?:\x95|\}|\]|c)"), EXPORTED),
    Kind("a property list", _starts(b"bplist00"), EXPORTED),
    Kind(
        "what macOS keeps beside a file",
        _starts(b"\0\5\x16\7", b"\0\5\x16\0"),
        "name the file itself, without the ._ in front of its name",
    ),
    Kind("an image", _starts(b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"), "ask for the table as CSV"),
    Kind("a program", _starts(b"\x7fELF", b"MZ\x90\0"), "name another file"),
    Kind(
        "encrypted",
        _text_matches(rb"(?:-----BEGIN PGP|age-encryption\.org/|Salted__|-----BEGIN AGE)"),
        "decrypt it first",
    ),
    Kind(
        "a pointer of Git LFS, not the file",
        _text_matches(rb"version https://git-lfs\.github\.com/"),
        "fetch the file with `git lfs pull`",
    ),
    Kind(
        "a workbook saved as XML",
        _text_matches(rb"<\?xml[\s\S]{0,400}(?:Excel\.Sheet|office:spreadsheet)"),
        AS_CSV,
    ),
    Kind(
        "an HTML page",
        _text_matches(
            rb"(?:<!--[\s\S]{0,2000}?-->\s*)*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html|head|body|table|meta|script|title|style|div)\b"
        ),
        "a page to log in on or an error instead of the file? Fetch it again; if it holds the table, open it in a"
        " spreadsheet program and save it as CSV (UTF-8)",
    ),
    Kind(
        "an XML document",
        _text_matches(rb"(?:<\?xml\b|<!doctype\b|<[a-z][\w:.-]*(?:\s[^<>]*)?>\s*<[a-z/!])"),
        "an error of a server instead of the file? Fetch it again, or " + EXPORTED,
    ),
    Kind(
        "a script of SQL",
        _text_matches(rb"(?:-- (?:My|Maria|Postgre|php)|(?:INSERT\s+INTO|(?:CREATE|DROP)\s+TABLE|SET\s+NAMES)\s)"),
        "export the table as CSV instead: `mysql --batch` writes TSV (--format tsv), `psql --csv` writes CSV",
    ),
    Kind(
        "a YAML document",
        _text_matches(rb"(?:%YAML |(?:---\s*\n)?-[ \t]+[\"']?\w+[\"']?:[ \t])"),
        "convert it: `yq -o=json -I=0 '.[]' FILE > OUT`",
    ),
    Kind(
        "base64",
        _text_matches(rb"(?:UEsDB|H4sI|0M8R4K)[A-Za-z0-9+/]{40}"),
        "decode it first: `base64 -d < FILE > OUT`",
    ),
    Kind(
        "text with a record separator in front of each object",
        _starts(b"\x1e"),
        "take them out: `tr -d '\\036' < FILE > OUT`",
    ),
    Kind("no text", _is_no_text, "it is a program's own format, or damaged; " + EXPORTED),
)
"""The most specific first: an input is of the first kind that matches."""
