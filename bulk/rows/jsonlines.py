"""Read rows from JSONL: one JSON object a line. A bad line costs only its own row."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from bulk.errors import InputError, SettingsError
from bulk.model import ReadRows
from bulk.rows.accounts import RowAccounts, refused
from bulk.rows.columns import ColumnNames, Field
from bulk.rows.fields import OF_MODULE, ROWS
from bulk.rows.findings import Remarks
from bulk.rows.json_text import loaded, why_no_json
from bulk.rows.problems import FieldKind, Problem, RecordKind, field_problem, joined, record_problem
from bulk.rows.record import of_json_line
from bulk.rows.shape import InputShape
from bulk.rows.stretches import Stretch
from bulk.rows.text.decoding import MARK
from bulk.rows.text.lines import LOOKED_AT_TOGETHER, MAX_RECORD_CHARS
from bulk.rows.validate import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk.model import AccountNames, InvalidRow, ValidRow
    from bulk.rows.fields import Sought
    from bulk.rows.text.lines import Block, LineSource
    from bulk.settings import ReadSettings

__all__ = ["JsonLinesReader"]

MAX_KNOWN_KEY_SETS = 1_000
"""Most sets of keys in a cache; past this it is emptied."""

KINDS = {
    str: "text",
    bool: "true or false",
    float: "a number with a fraction, or too large",
    list: "a list",
    dict: "an object",
}

OBJECT = frozenset({dict})
TEXT = frozenset({str})
OPTIONAL_TEXT = frozenset({str, type(None)})

FIELD_TYPES = frozenset({str, int, type(None)})
"""What a field may be in JSON: a whole number means its digits, null means absent."""

END_OF_KEY = re.compile(r'"\s*:')

PAIRS = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str)
"""Reads objects as lists of pairs and numbers as they are written: nothing is lost, and no number is too long."""

Keys = tuple[str | None, str | None, str | None, str | None, str | None]
"""The key of each field in an object, in the order of `Field`; ``None`` if it has none."""

Fields = tuple[str, str, str, str]
"""The fields of a module, absent ones empty."""


class JsonLinesReader:
    """The rows of a JSONL file."""

    def __init__(
        self,
        source: LineSource,
        settings: ReadSettings,
        *,
        sought: Sought = ROWS,
        accounts: AccountNames | None = None,
    ) -> None:
        """Read the first lines.

        Raises:
            SettingsError: ``--map`` or ``--skip-lines`` can't be used.
            InputError: The file is empty, or no object of its beginning has a key for a required field.
        """
        if settings.skip_lines:
            raise SettingsError("--skip-lines is for CSV and TSV: a line of JSONL that is no row does no harm")
        self._source = source
        self._names = ColumnNames.parse(settings.columns, sought=sought)
        self._fill = sought.fill
        self._rules = Rules.of(settings)
        self._known_keys: dict[tuple[str, ...], Keys | Problem] = {}
        self._stretch = Stretch()
        self._blocks = source.blocks()
        self._head = self._read_head()
        keys = self._keys_of_head()
        self._names.require(keys, file=source.name, line=self._head[-1].first)
        candidates = self._names.candidates(keys)
        self.accounts = RowAccounts(accounts, has_column=Field.ACCOUNT in candidates)
        self.accounts.require(keys, file=source.name, line=self._head[-1].first)
        columns = {str(field): keys[found[0]] for field, found in candidates.items()}
        self.shape = InputShape("jsonl", source.encoding, None, (), columns, header_line=None)
        taken = {position for found in candidates.values() for position in found}
        carried = (key for at, key in enumerate(keys) if at not in taken)
        self.remarks = Remarks(self._rules, carried=carried, unused=self._names.unused(keys))

    def blocks(self) -> Iterator[ReadRows]:
        """Yield the rows in portions of any size, once.

        Raises:
            InputError: The file can't be read to its end.
        """
        while self._head:
            yield self._read(self._head.pop(0))
        for block in self._blocks:
            yield self._read(block)

    def _read(self, block: Block) -> ReadRows:
        rows = ReadRows()
        if block.cut:
            problem = record_problem(RecordKind.LENGTH, cause=f"is longer than {MAX_RECORD_CHARS:,} characters")
            rows.invalid.append(self._invalid(block.first, block.lines[0], problem))
            return rows
        for start in range(0, len(block.lines), LOOKED_AT_TOGETHER):
            first, lines = block.first + start, block.lines[start : start + LOOKED_AT_TOGETHER]
            plain = self._plain(first, lines)
            if plain is None:
                self._scan(first, lines, rows)
            else:
                rows.valid.extend(plain[0])
                rows.accounts.extend(plain[1])
        return rows

    def _plain(self, first: int, lines: list[str]) -> tuple[Iterator[ValidRow], Sequence[str]] | None:
        """Return the rows and their accounts if all lines are valid as they are; ``None``: use `_scan`."""
        if self._stretch.problem:
            return None
        try:
            found = list(map(orjson.loads, lines))
        except orjson.JSONDecodeError:
            return None
        if set(map(type, found)) != OBJECT or not _have_distinct_keys(lines, found):
            return None
        values, whose = [], []
        no_key, no_name, no_alias, no_desc = self._fill
        for each in found:
            columns = self._keys(each)
            if isinstance(columns, Problem):
                return None
            key, name, alias, desc, account = columns
            get: Callable[[str | None, str], Any] = each.get
            values.append((get(key, no_key), get(name, no_name), get(alias, no_alias), get(desc, no_desc)))
            whose.append(account)
        texts = [text for column in zip(*values, strict=True) if (text := _texts(column)) is not None]
        accounts = self._accounts_of(found, whose)
        if accounts is None or len(texts) != len(OF_MODULE) or not self._rules.accept(*texts):
            return None
        keys, names, aliases, descs = texts
        return zip(itertools.count(first), keys, names, aliases, descs, map(str.strip, lines)), accounts

    def _accounts_of(self, found: list[dict[str, Any]], keys: list[str | None]) -> Sequence[str] | None:
        """Return the accounts of objects that have these keys for it; ``None``: use `_scan`."""
        if not self.accounts.has_column and (not self.accounts.are_named or not any(keys)):
            return self.accounts.accept(None, len(found))
        said: list[Any] = [key and each.get(key) for each, key in zip(found, keys, strict=True)]
        return self.accounts.accept(said, len(found)) if set(map(type, said)) == TEXT else None

    def _scan(self, first: int, lines: list[str], rows: ReadRows) -> None:
        """Add the rows of these lines one by one."""
        for line, text in enumerate(lines, first):
            text = text.lstrip(MARK)  # noqa: PLW2901 - in joined files, any line may begin with one
            try:
                found = loaded(text)
            except (ValueError, RecursionError) as exc:
                if text and not text.isspace():
                    rows.invalid.append(self._invalid(line, text, self._no_json(line, text, exc)))
                continue
            if problem := self._stretch.problem:
                rows.invalid.append(self._invalid(line, text, problem))
                continue
            account, judged = self._judge(text, found)
            if isinstance(judged, Problem):
                rows.invalid.append((line, of_json_line(text), judged.code, judged.text, account))
            else:
                rows.valid.append((line, *judged, text.strip()))
                rows.accounts.extend([account] if self.accounts.are_named and account else [])

    def _no_json(self, line: int, text: str, exc: Exception) -> Problem:
        marked = self._stretch.mark_of_conflict(text, line)
        if marked:
            return marked
        damage = self._source.damage_in(text)
        if damage:
            return record_problem(RecordKind.ENCODING, cause=damage)
        return record_problem(RecordKind.JSON, cause=f"not JSON: {why_no_json(text, exc)}")

    def _judge(self, text: str, found: Any) -> tuple[str | None, Fields | Problem]:  # noqa: ANN401 - any JSON value
        """Return a line's account, ``None`` if unknown, and its trimmed fields, or what is wrong with it."""
        keys = self._keys(found) if isinstance(found, dict) else _no_object(found)
        if isinstance(keys, Problem):
            return self.accounts.of_unread, keys
        problem = _repeated_key(text, found) or _wrong_kinds(found, keys)
        if problem:
            return self.accounts.of_unread, problem
        key, name, alias, desc, whose = (
            fill if column is None else "" if found[column] is None else str(found[column])
            for column, fill in zip(keys, (*self._fill, ""), strict=True)
        )
        judged = self._rules.judge((key, name, alias, desc))
        account = self.accounts.judge(self._rules.trimmed(whose))
        if isinstance(account, Problem) or isinstance(judged, Problem):
            return refused(account, judged)
        return account, judged

    def _keys(self, found: dict[str, Any]) -> Keys | Problem:
        """Return which key of an object holds which field, or what is wrong with its keys."""
        own = tuple(found)
        if own not in self._known_keys:
            if len(self._known_keys) >= MAX_KNOWN_KEY_SETS:
                self._known_keys.clear()
            self._known_keys[own] = self._look_up(own)
        return self._known_keys[own]

    def _look_up(self, own: tuple[str, ...]) -> Keys | Problem:
        found = self._names.candidates(own)
        for field, positions in found.items():
            problem = self._names.ambiguity(field, positions, own)
            if problem:
                return record_problem(RecordKind.KEYS, cause=problem)
        near = self._names.near_misses(own)
        if near:
            return record_problem(RecordKind.KEYS, cause=self._names.near_problem(near, own))
        taken = {position for positions in found.values() for position in positions}
        for position, column in enumerate(own):
            if position not in taken:
                self.remarks.carry(column)
        key, name, alias, desc, account = (own[found[field][0]] if field in found else None for field in Field)
        return key, name, alias, desc, account

    def _read_head(self) -> list[Block]:
        """Return the blocks up to the first that is not blank."""
        head = []
        for block in self._blocks:
            if block.cut:
                head.append(block)
            elif any(not line.isspace() for line in block.lines):
                return [*head, block]
        if head:
            return head
        raise InputError("it is empty: no row is in it", file=self._source.name)

    def _keys_of_head(self) -> list[str]:
        """Return all keys of the objects at the beginning, in the order of their first appearance."""
        keys: dict[str, None] = {}
        for line in self._head[-1].lines:
            try:
                found = loaded(line.lstrip(MARK))
            except (ValueError, RecursionError):
                continue
            keys.update(dict.fromkeys(found if isinstance(found, dict) else ()))
        if not keys:
            message = "no line at its beginning is a JSON object; write one object a line, or name the --format"
            raise InputError(message, file=self._source.name, line=self._head[-1].first)
        return list(keys)

    def _invalid(self, line: int, text: str, problem: Problem) -> InvalidRow:
        return line, of_json_line(text), problem.code, problem.text, self.accounts.of_unread


def _no_object(found: object) -> Problem:
    return record_problem(RecordKind.JSON, cause=f"{_kind(found)}, not an object")


def _texts(column: Sequence[Any]) -> Sequence[str] | None:
    """Return an optional field of some rows, absent values as empty; ``None``: some are no text."""
    kinds = set(map(type, column))
    if kinds <= TEXT:
        return column
    return [value or "" for value in column] if kinds <= OPTIONAL_TEXT else None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return KINDS.get(type(value), "a number")


def _wrong_kinds(found: dict[str, Any], keys: Keys) -> Problem | None:
    if {type(found[key]) for key in keys if key is not None} <= FIELD_TYPES:
        return None
    problems = [
        field_problem(field, FieldKind.TYPE, cause=_kind(found[key]))
        for field, key in zip(Field, keys, strict=True)
        if key is not None and type(found[key]) not in FIELD_TYPES
    ]
    return joined(problems)


def _have_distinct_keys(lines: list[str], found: list[dict[str, Any]]) -> bool:
    """Say quickly that no key is twice in an object; False means: use `_repeated_key`."""
    # Each key ends in a quote and a colon. Other text may too, so equal counts prove that no key was repeated.
    keys, text = sum(map(len, found)), "".join(lines)
    return text.count(":") == keys or len(END_OF_KEY.findall(text)) == keys


def _repeated_key(text: str, found: dict[str, Any]) -> Problem | None:
    if _have_distinct_keys([text], [found]):
        return None
    try:
        pairs = PAIRS.decode(text.strip())
    except RecursionError:
        return record_problem(RecordKind.JSON, cause="nested too deeply")
    times = Counter(key for key, _ in pairs)
    repeated = next((key for key, count in times.items() if count > 1), None)
    if repeated is None:
        return None
    return record_problem(RecordKind.KEYS, cause=f"the key {repeated!r} is given {times[repeated]} times")
