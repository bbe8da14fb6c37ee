"""Workbooks that a test writes part by part: what a program would not write can be in them too."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import pytest

from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bulk.rows import RowReader

    Row = tuple[Any, ...]
    Sheets = Mapping[str, Sequence[Sequence[object]] | str]

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def letters(column: int) -> str:
    name = ""
    while column >= 0:
        column, digit = divmod(column, 26)
        name, column = chr(ord("A") + digit) + name, column - 1
    return name


def cell_xml(row: int, column: int, cell: object, styles: list[str]) -> str:
    """Return a cell: a text, a number, true or false, ``(number, format)``, or XML with ``{r}`` for its place."""
    place = f'r="{letters(column)}{row}"'
    match cell:
        case None:
            return ""
        case bool():
            return f'<c {place} t="b"><v>{int(cell)}</v></c>'
        case int() | float():
            return f"<c {place}><v>{cell}</v></c>"
        case (number, style):
            if style not in styles:
                styles.append(str(style))
            return f'<c {place} s="{styles.index(str(style)) + 1}"><v>{number}</v></c>'
        case str() if cell.startswith("<c "):
            return cell.replace("{r}", place)
        case _:
            return f'<c {place} t="inlineStr"><is><t xml:space="preserve">{escape(str(cell))}</t></is></c>'


def sheet_xml(rows: Sequence[Sequence[object]], styles: list[str], *, hidden: Sequence[int], merged: str) -> str:
    body = "".join(
        f'<row r="{number}"{" hidden=" + quoteattr("1") if number in hidden else ""}>'
        + "".join(cell_xml(number, column, cell, styles) for column, cell in enumerate(row))
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    merges = f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData>{merges}</worksheet>'


def styles_xml(formats: Sequence[str]) -> str:
    named = {code: 164 + at for at, code in enumerate(formats) if not code.isdecimal()}
    fmts = "".join(f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for code, number in named.items())
    xfs = "".join(f'<xf numFmtId="{named.get(code, code)}"/>' for code in ["0", *formats])
    return (
        f'<styleSheet xmlns="{MAIN}"><numFmts count="{len(named)}">{fmts}</numFmts>'
        f'<cellStyleXfs count="1"><xf numFmtId="9"/></cellStyleXfs><cellXfs>{xfs}</cellXfs></styleSheet>'
    )


def workbook_of(sheets: Sheets, *, states: Mapping[str, str], hidden: Sequence[int] = (), merged: str = "") -> bytes:
    styles: list[str] = []
    parts = {
        f"xl/worksheets/sheet{at}.xml": rows
        if isinstance(rows, str)
        else sheet_xml(rows, styles, hidden=hidden, merged=merged)
        for at, rows in enumerate(sheets.values(), 1)
    }
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" state="{states.get(name, "visible")}" r:id="rId{at}"/>'
        for at, name in enumerate(sheets, 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{at}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    overrides = "".join(f'<Override PartName="/{part}" ContentType="{SHEET_TYPE}"/>' for part in parts)
    parts |= {
        "[Content_Types].xml": (
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>' + overrides + "</Types>"
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>',
        "xl/styles.xml": styles_xml(styles),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, xml in parts.items():
            archive.writestr(part, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}')
    return packed.getvalue()


@pytest.fixture
def workbook() -> Callable[..., bytes]:
    """Make a workbook: ``workbook(rows)`` or ``workbook({name: rows}, states={name: "hidden"})``."""
    pytest.importorskip("python_calamine", reason="the extra excel is not installed")

    def make(sheets: Any, *, states: Mapping[str, str] | None = None, **how: Any) -> bytes:
        named = sheets if isinstance(sheets, dict) else {"Sheet1": sheets}
        return workbook_of(named, states=states or {}, **how)

    return make


@pytest.fixture
def read_book(
    tmp_path: Path, workbook: Callable[..., bytes], rows_of: Callable[[RowReader], list[Row]]
) -> Callable[..., list[Row]]:
    """Write rows to a workbook and read them: ``read_book(rows, **settings)``."""

    def read_rows(rows: object, **settings: Any) -> list[Row]:
        path = tmp_path / "book.xlsx"
        path.write_bytes(rows if isinstance(rows, bytes) else workbook(rows))
        with open_input(str(path), ReadSettings(**settings)) as reader:
            return rows_of(reader)

    return read_rows
