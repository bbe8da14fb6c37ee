"""Check a row against the platform's rules before anything is sent. Pure.

The rules are those of the CreateOTAModule pages. No page says the following, so it is assumed: a character is one
Unicode code point; "Chinese" means the CJK unified ideographs with extensions A to I, the compatibility ideographs
and 〇; "letters" means those of ASCII; a description may contain line breaks and tabs but no other control character.
A ProductKey has no documented form. So it is only refused if it has white space or invisible characters, or if a
program spoiled it (`bulk.rows.spoiled`). White space around a field is a leftover of spreadsheets and is trimmed. A
field of only white space is absent, and so is one that ``--null`` names.
"""

from __future__ import annotations

import itertools
import re
import shlex
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from bulk.model import RESERVED_MODULE_NAME
from bulk.rows.fields import REQUIRED, Field
from bulk.rows.problems import FieldKind, Problem, field_problem, joined
from bulk.rows.spoiled import HARD_NULLS, NOT_KEYS, NULLS, spoiled, unwrapped
from bulk.rows.traces import trace_in, traces_possible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.settings import ReadSettings

__all__ = ["Rules"]

MAX_NAME_CHARS = 64
MAX_DESC_CHARS = 100

CHINESE = (
    "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ee5f\U0002f800-\U0002fa1f\U00030000-\U000323af"
)

BEYOND_MODULE_NAME = re.compile(r"[^A-Za-z0-9._-]")
BEYOND_ALIAS_NAME = re.compile(rf"[^A-Za-z0-9._\-{CHINESE}]")
BEYOND_DESC = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
BEYOND_PLAIN_KEY = re.compile(r"[^A-Za-z0-9*_]")
"""Characters for which a ProductKey gets the full check; such a key may still be valid."""

KEY_PREFIX = "a1"
FORM_OF_KEY = re.compile(rf"{KEY_PREFIX}(?=.*\d)[A-Za-z0-9]{{9}}")
"""The form of every ProductKey that the documentation shows."""

HEADS = frozenset({"ProductKey", "Product Key", "product_key", "productKey", "PRODUCT_KEY", "productkey", "PRODUCTKEY"})
"""Column names. A value like this gets the full check: the row may be a second header."""

NO_MODULES = {name.casefold() for name in HEADS} | {RESERVED_MODULE_NAME}

FORMULA = '="'
NAMES_NOTHING = ("-", "--")
"""Words for an absent value that are also legal names of modules."""


class Rules:
    """The platform's rules for a module's fields, and counts of the oddities found while applying them."""

    __slots__ = (
        "_lenient_alias",
        "_lenient_keys",
        "_literal",
        "_names",
        "_nulls",
        "_words",
        "sent_nulls",
        "traces",
        "unwrapped",
    )

    def __init__(self, *, lenient_alias: bool = False, lenient_keys: bool = False, nulls: Sequence[str] = ()) -> None:
        """Take the rules as documented.

        Args:
            lenient_alias: Allow any printable character in AliasName.
            lenient_keys: Don't look for traces of spreadsheets and databases in ProductKey and ModuleName.
            nulls: Texts that mean an absent field. If an empty one is among them, no other text is suspected.
        """
        self._lenient_alias = lenient_alias
        self._lenient_keys = lenient_keys
        self._nulls = frozenset(nulls) - {""}
        self._literal = "" in nulls
        self._words = (self._nulls if self._literal else self._nulls | NULLS) | HEADS
        self._names = self._nulls | (self._words - {*NAMES_NOTHING})
        self.sent_nulls: Counter[str] = Counter()
        """Words for an absent value that are sent as an alias or a description → how often."""

        self.traces: Counter[str] = Counter()
        """Traces in aliases and descriptions that are sent → number of rows."""

        self.unwrapped = 0
        """Fields that were written as ``="text"``."""

    @classmethod
    def of(cls, settings: ReadSettings) -> Rules:
        """Return the rules for these settings."""
        return cls(lenient_alias=settings.lenient_alias, lenient_keys=settings.lenient_keys, nulls=settings.null_texts)

    def accept(
        self, product_keys: Sequence[str], module_names: Sequence[str], aliases: Sequence[str], descs: Sequence[str]
    ) -> bool:
        """Say quickly that all these rows are valid as they are; False means: use `judge`.

        Args:
            product_keys: One ProductKey for each row. In all fields, an absent one is empty.
            module_names: The rows' ModuleNames.
            aliases: The rows' AliasNames.
            descs: The rows' Descs.
        """
        # One check of a whole column costs much less than a check of each cell. Printable excludes control characters,
        # halves of surrogate pairs, and all white space except the space.
        names, texts = "".join(module_names), "".join(descs)
        return (
            all(product_keys)
            and not BEYOND_PLAIN_KEY.search("".join(product_keys))
            and NOT_KEYS.isdisjoint(map(str.casefold, product_keys))
            and all(module_names)
            and _longest(module_names) <= MAX_NAME_CHARS
            and not BEYOND_MODULE_NAME.search(names)
            and NO_MODULES.isdisjoint(map(str.casefold, module_names))
            and self._names.isdisjoint(module_names)
            and not (KEY_PREFIX in names and any(map(str.startswith, module_names, itertools.repeat(KEY_PREFIX))))
            and self._words.isdisjoint(aliases)
            and _longest(aliases) <= MAX_NAME_CHARS
            and not BEYOND_ALIAS_NAME.search("".join(aliases))
            and self._words.isdisjoint(descs)
            and _longest(descs) <= MAX_DESC_CHARS
            and texts.isprintable()
            and FORMULA not in texts
            and not traces_possible(texts)
            and not traces_possible("".join(aliases))
            and len(texts) == sum(map(len, map(str.strip, descs)))
        )

    def stands_for_nothing(self, text: str) -> bool:
        """Say whether ``--null`` names this text."""
        return text.strip() in self._nulls

    def judge(self, values: tuple[str, str, str, str]) -> tuple[str, str, str, str] | Problem:
        """Trim and check the fields of a row, absent ones given as empty; return them, or what is wrong with them."""
        trimmed = tuple(map(self.trimmed, values))
        product_key, module_name, alias_name, desc = trimmed
        problems = [problem for problem in self._problems(product_key, module_name, alias_name, desc) if problem]
        if problems:
            return joined(problems)
        if not self._literal:
            self.sent_nulls.update(value for value in (alias_name, desc) if value in NULLS)
        self.traces.update({trace for text in (alias_name, desc) if (trace := trace_in(text))})
        self.unwrapped += sum(
            value != unwrapped(value) for value in map(str.strip, values) if value.startswith(FORMULA)
        )
        return product_key, module_name, alias_name, desc

    def trimmed(self, value: str) -> str:
        """Return a cell's text without what spreadsheets put around it; empty if it means an absent field."""
        value = value.strip()
        if value in self._nulls:
            return ""
        return unwrapped(value) if value.startswith(FORMULA) else value

    def _problems(self, product_key: str, module_name: str, alias_name: str, desc: str) -> Iterator[Problem | None]:
        yield (
            self._null(Field.PRODUCT_KEY, product_key)
            or self._problem_of_product_key(product_key)
            or self._swapped(product_key, module_name)
        )
        yield self._null(Field.MODULE_NAME, module_name) or self._problem_of_module_name(module_name)
        yield self._null(Field.ALIAS_NAME, alias_name) or self._problem_of_alias_name(alias_name)
        yield self._null(Field.DESC, desc) or _problem_of_desc(desc)

    def _null(self, field: Field, value: str) -> Problem | None:
        if value not in NULLS or self._literal:
            return None
        if field in REQUIRED:
            if self._lenient_keys or (field is Field.MODULE_NAME and value in NAMES_NOTHING):
                return None
        elif value not in HARD_NULLS:
            return None
        way = (
            _NULL_KEY
            if field in REQUIRED
            else f"--null {shlex.quote(value)} leaves it out, --null '' sends it as it is"
        )
        return field_problem(field, FieldKind.NULL, value=value, cause=way)

    def _swapped(self, product_key: str, module_name: str) -> Problem | None:
        if self._lenient_keys or not FORM_OF_KEY.fullmatch(module_name) or FORM_OF_KEY.fullmatch(product_key):
            return None
        cause = f"does not look like a ProductKey, but ModuleName {module_name!r} has"
        return field_problem(Field.PRODUCT_KEY, FieldKind.SWAPPED, value=product_key, cause=cause)

    def _problem_of_product_key(self, value: str) -> Problem | None:
        if not value:
            return field_problem(Field.PRODUCT_KEY, FieldKind.MISSING)
        problem = None if self._lenient_keys else spoiled(Field.PRODUCT_KEY, value)
        if problem or (value.isprintable() and " " not in value):
            return problem
        hidden = next(char for char in value if char == " " or not char.isprintable())
        return field_problem(Field.PRODUCT_KEY, FieldKind.CHARACTERS, cause=_named(hidden))

    def _problem_of_module_name(self, value: str) -> Problem | None:
        field = Field.MODULE_NAME
        if not value:
            return field_problem(field, FieldKind.MISSING)
        if value.casefold() == RESERVED_MODULE_NAME:
            return field_problem(field, FieldKind.RESERVED, value=value)
        beyond = BEYOND_MODULE_NAME.search(value)
        if beyond:
            cause = f"{_named(beyond[0])}, the platform takes A-Z, a-z, 0-9, '.', '_' and '-'"
            by_rule = field_problem(field, FieldKind.CHARACTERS, cause=cause)
            # Don't suggest the flag that sends such a key: it does not help here, since the platform refuses the name.
            trace = spoiled(field, value)
            return Problem(trace.code, f"{by_rule.text}; {trace.text.partition(';')[0]}") if trace else by_rule
        if len(value) > MAX_NAME_CHARS:
            return field_problem(field, FieldKind.LENGTH, length=len(value), most=MAX_NAME_CHARS)
        return None

    def _problem_of_alias_name(self, value: str) -> Problem | None:
        field = Field.ALIAS_NAME
        if len(value) > MAX_NAME_CHARS:
            return field_problem(field, FieldKind.LENGTH, length=len(value), most=MAX_NAME_CHARS)
        if self._lenient_alias:
            hidden = next((char for char in value if not char.isprintable()), None)
            cause = f"{_named(hidden)}, which is not printable" if hidden else ""
        else:
            beyond = BEYOND_ALIAS_NAME.search(value)
            cause = f"{_named(beyond[0])}, {_ALIAS_RULE}" if beyond else ""
        return field_problem(field, FieldKind.CHARACTERS, cause=cause) if cause else None


_NULL_KEY = "correct it in the source, or add --lenient-keys to send it"
_ALIAS_RULE = (
    "the platform documents Chinese characters, letters, digits, '.', '_' and '-'; --lenient-alias sends it anyway"
)


def _longest(values: Sequence[str]) -> int:
    return max(map(len, values), default=0)


def _problem_of_desc(value: str) -> Problem | None:
    if len(value) > MAX_DESC_CHARS:
        return field_problem(Field.DESC, FieldKind.LENGTH, length=len(value), most=MAX_DESC_CHARS)
    beyond = None if value.isprintable() else BEYOND_DESC.search(value)
    return field_problem(Field.DESC, FieldKind.CHARACTERS, cause=_named(beyond[0])) if beyond else None


def _named(char: str) -> str:
    code_point = f"U+{ord(char):04X}"
    if char.isprintable() and char != " ":
        return f"{char!r} ({code_point})"
    if unicodedata.category(char) == "Cc":
        return f"a control character ({code_point})"
    return f"{unicodedata.name(char, 'an invisible character').lower()} ({code_point})"
