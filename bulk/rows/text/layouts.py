"""Recognise text whose layout is not what its name or ``--format`` says, and say how to read it. Pure.

JSON that is not one object a line is never read partly: the last line of an array could look like a valid row.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from bulk.rows.text.tables import aligned, pairs, quoted_lines, sideways
from bulk.shell import shell_path, shell_quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.rows.columns import ColumnNames

__all__ = ["Beginning", "likely_format", "other_layout"]

DELIMITERS = (",", "\t", ";", "|")

FIRST_LINES = 20
"""Number of lines in which the header is expected."""

DEEPEST_ROWS = 4
"""Most objects around the list of the rows."""

NEAR_THE_END_CHARS = 4_096
"""If an error in JSON is this near to the end of the text examined, the JSON probably goes on after it."""

ARRAY_OF_OBJECTS = re.compile(r"\[\s*\{")
BEGINNING_OF_JSON = re.compile(r"\s*(?:\{|\[\s*[\[{\"])")
SCRIPT_OBJECT = re.compile(r"(?:(?:const|let|var|export|module)\b[^={]*=\s*)?(?:\[\s*)?\{\s*[A-Za-z_$][\w$]*\s*:")
ARRAY_OF_LISTS = re.compile(r"\[\s*\[")
PYTHON_OBJECT = re.compile(r"(?:\[\s*)?\{\s*'")
JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')
PLAIN_KEY = re.compile(r"[A-Za-z_]\w*")

AS_PYTHON = (
    "python3 -c 'import ast, json, sys; text = sys.stdin.read().strip(); "
    'rows = ast.literal_eval(text if text[0] == "[" else "[" + text.replace("\\n", ",") + "]"); '
    "[print(json.dumps(row)) for row in rows]' < FILE > OUT"
)


class Beginning(NamedTuple):
    """The beginning of an input."""

    text: str
    is_whole: bool
    """Whether nothing follows."""

    file: str
    """The input as the user named it."""

    encoding: str = "utf-8"
    """Encoding in which it is read."""

    @property
    def first_line(self) -> str:
        """The first line that is not blank."""
        return self.text.lstrip().partition("\n")[0].rstrip()


def other_layout(beginning: Beginning, names: ColumnNames, *, chosen: str) -> str | None:
    """Say which layout an input has and how to read it; ``None``: it may be as its name or ``--format`` says.

    Args:
        beginning: Beginning of the input.
        names: Columns to look for.
        chosen: ``csv``, ``tsv`` or ``jsonl``.
    """
    for layout in LAYOUTS:
        way = layout(beginning, names, chosen)
        if way is not None:
            return _with_names(way, beginning)
    return None


def likely_format(beginning: Beginning, names: ColumnNames) -> str | None:
    """Return the likely format of an input, independent of its name; ``None``: unknown."""
    if BEGINNING_OF_JSON.match(beginning.text):
        return "jsonl"
    lines = beginning.text.splitlines()[:FIRST_LINES]
    found = next((mark for mark in DELIMITERS for line in lines if _has_required(names, _split(line, mark))), None)
    return found and ("tsv" if found == "\t" else "csv")


def _python_objects(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    if not PYTHON_OBJECT.match(beginning.text.lstrip()):
        return None
    return f"this is Python's own notation, in single quotes, not JSON; convert it: `{AS_PYTHON}`"


def _script_objects(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    if not SCRIPT_OBJECT.match(beginning.text.lstrip()):
        return None
    return "this is JavaScript's own notation (JSON5), with keys that are not in quotes; export it as JSON instead"


def _array(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    text = beginning.text.strip()
    if not ARRAY_OF_OBJECTS.match(text):
        return None
    first = next((line for line in text.split("\n") if "{" in line), "")
    if beginning.is_whole and _parsed(text) is None and _is_object(first.lstrip("[ ").rstrip(", \r")):
        # jq refuses invalid JSON, such as a comma after the last object.
        return (
            "this is a JSON array in which something is no JSON; one object a line is left by "
            r"`sed -e 's/^[[:space:]]*\[//' -e 's/\][[:space:]]*$//' -e 's/,[[:space:]]*$//' FILE > OUT`"
        )
    return "this is a JSON array, not one object a line; `jq -c '.[]' FILE > OUT` writes it so"


def _inside_of_array(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    line = beginning.first_line
    if not (line.startswith("{") and line.endswith(",") and _is_object(line.rstrip(",").rstrip())):
        return None
    return (
        "its lines end in commas, as those inside a JSON array; "
        "`sed -e 's/,[[:space:]]*$//' -e '/^[[:space:]]*[][]*[[:space:]]*$/d' FILE > OUT` takes them away"
    )


def _joined_objects(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    line = beginning.first_line
    if not line.startswith("{"):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(line)
    except (ValueError, RecursionError):
        return None
    if not line[end:].lstrip().startswith("{"):
        return None
    return "several JSON objects are on one line; `jq -c . FILE > OUT` writes one a line"


def _wrapped_rows(beginning: Beginning, names: ColumnNames, _chosen: str) -> str | None:
    text = beginning.text.strip()
    if not text.startswith("{") or _has_required(names, _keys_of(beginning.first_line)):
        return None
    path = _path_to_rows(text)
    if path is None or (_is_object(beginning.first_line) and not _is_one_line(beginning)):
        return None
    query = "".join(f".{key}" if PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]" for key in path)
    query = query if query.startswith(".") else f".{query}"
    return (
        f"this is one JSON object with the rows inside it, under {'.'.join(path)!r}; "
        f"`jq -c {shell_quote(query + '[]')} FILE > OUT` writes one a line"
    )


def _spread_objects(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    text = beginning.text.strip()
    if not text.startswith("{") or _parsed(beginning.first_line) is not None:
        return None
    try:
        json.JSONDecoder().raw_decode(text)
    except RecursionError:
        return None
    except json.JSONDecodeError as exc:
        if exc.pos < len(text) - (0 if beginning.is_whole else NEAR_THE_END_CHARS):
            return None
    return "each JSON object is spread over several lines; `jq -c . FILE > OUT` writes one a line"


def _lists_of_cells(beginning: Beginning, _names: ColumnNames, _chosen: str) -> str | None:
    text = beginning.text.lstrip()
    if text.startswith("[") and isinstance(_parsed(beginning.first_line), list) and not text.startswith("[["):
        return "each line is a JSON list of cells; `jq -r @csv FILE > TABLE` writes CSV"
    if ARRAY_OF_LISTS.match(text):
        return "this is a JSON array of lists of cells; `jq -r '.[] | @csv' FILE > TABLE` writes CSV"
    return None


def _packed_objects(beginning: Beginning, names: ColumnNames, _chosen: str) -> str | None:
    """Say how to extract rows that are each wrapped in an object, or in a text of JSON."""
    found = _parsed(beginning.first_line)
    if isinstance(found, dict) and _has_required(names, list(found)):
        return None
    query = _query_of_row(found, names, DEEPEST_ROWS)
    return query and f"each row is wrapped in another value; `jq -c {shell_quote(query)} FILE > OUT` takes it out"


def _query_of_row(value: Any, names: ColumnNames, depth: int) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the jq query for an object with our fields; ``None``: there is none."""
    if isinstance(value, str):
        inner = _parsed(value) if value.startswith(("{", '"')) else None
        rest = _query_of_row(inner, names, depth - 1) if inner is not None and depth else None
        return rest and ("fromjson" if rest == "." else f"fromjson | {rest}")
    if not isinstance(value, dict) or not depth:
        return None
    if _has_required(names, list(value)):
        return "."
    for key, each in value.items():
        rest = _query_of_row(each, names, depth - 1)
        if rest:
            own = f".{key}" if PLAIN_KEY.fullmatch(key) else f".[{json.dumps(key)}]"
            return own + (f" | {rest}" if rest != "." else "")
    return None


def _objects_behind_text(beginning: Beginning, names: ColumnNames, _chosen: str) -> str | None:
    line = beginning.first_line
    start = line.find("{")
    if start <= 0 or not _has_required(names, _keys_of(line[start:])):
        return None
    return "text is in front of each JSON object; `sed -n 's/^[^{]*{/{/p' FILE > OUT` takes it away"


def _no_table(beginning: Beginning, names: ColumnNames, chosen: str) -> str | None:
    lines = [line for line in beginning.text.splitlines() if line.strip()]
    if chosen == "jsonl" or not lines or names.mapped or names.sought.is_alone:
        return None
    return quoted_lines(lines) or sideways(lines) or pairs(lines) or aligned(lines)


def _json_lines(beginning: Beginning, _names: ColumnNames, chosen: str) -> str | None:
    if chosen == "jsonl" or not _is_object(beginning.first_line):
        return None
    return f"it holds JSON lines, not {chosen.upper()}; read it with --format jsonl"


def _cells(beginning: Beginning, names: ColumnNames, chosen: str) -> str | None:
    if chosen == "jsonl":
        likely = next((each for each in DELIMITERS if _has_required(names, _split(beginning.first_line, each))), None)
        if likely is None:
            return None
        return "no line at its beginning is a JSON object: it holds CSV; read it with --format csv"
    return None


def _no_tabs(beginning: Beginning, names: ColumnNames, chosen: str) -> str | None:
    if chosen != "tsv" or "\t" in beginning.text:
        return None
    if not any(_has_required(names, _split(beginning.first_line, delimiter)) for delimiter in DELIMITERS):
        return None
    return "no tab is in it, so it is not TSV; read it with --format csv"


LAYOUTS: tuple[Callable[[Beginning, ColumnNames, str], str | None], ...] = (
    _python_objects,
    _script_objects,
    _array,
    _inside_of_array,
    _joined_objects,
    _wrapped_rows,
    _spread_objects,
    _lists_of_cells,
    _packed_objects,
    _objects_behind_text,
    _json_lines,
    _no_table,
    _cells,
    _no_tabs,
)
"""Each recognises one layout and says how to read it; the first that matches is used."""


def _with_names(way: str, beginning: Beginning) -> str:
    file = beginning.file
    path = PurePath(file)
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    out = path.with_name(f"{stem}.lines.jsonl") if file != "-" else "OUT.jsonl"
    table = path.with_name(f"{stem}.lines.csv") if file != "-" else "OUT.csv"
    words = {
        "FILE": "FILE" if file == "-" else shell_path(file),
        "OUT": shell_path(str(out)),
        "TABLE": shell_path(str(table)),
    }
    in_utf_8 = "" if beginning.encoding.startswith("utf-8") else f"iconv -f {beginning.encoding} -t UTF-8"
    if file.endswith(".gz"):
        words["FILE"] = f"<(gzip -dc {words['FILE']}{in_utf_8 and ' | '}{in_utf_8})"
    elif in_utf_8:
        words["FILE"] = f"<({in_utf_8} {words['FILE']})"
    return re.sub(r"\b(?:FILE|OUT|TABLE)\b", lambda word: words[word[0]], way)


def _is_object(text: str) -> bool:
    return isinstance(_parsed(text), dict)


def _parsed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _keys_of(line: str) -> list[str]:
    found = _parsed(line)
    return list(found) if isinstance(found, dict) else []


def _has_required(names: ColumnNames, columns: list[str]) -> bool:
    return {*names.sought.required} <= names.candidates(columns).keys()


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_one_line(beginning: Beginning) -> bool:
    return "\n" not in beginning.text.strip()


def _path_to_rows(text: str) -> list[str] | None:
    """Return the keys on the path to the first list of objects; ``None``: there is none. The text may be cut off."""
    keys: list[str] = []
    last, before = "", ""
    for token in JSON_TOKEN.finditer(text):
        now = token[0]
        if now == "{" and before == "[":
            return keys if 0 < len(keys) <= DEEPEST_ROWS else None
        if now == ":":
            last = before
        elif now in "{[" and before == ":":
            keys.append(str(_parsed(last)))
        elif now in "}]" and keys:
            keys.pop()
        before = now
    return None
