"""Hold a row against the platform's rules before anything is sent. Pure.

The rules are those of the CreateOTAModule pages. Assumed, since no page says it: a character is one Unicode code
point; "Chinese" means the CJK unified ideographs with extensions A to I, the compatibility ideographs and 〇;
"letters" means those of ASCII; a description may hold line breaks and tabs but no other control character.
A ProductKey has no documented form, so it is only kept free of white space and invisible characters.
White space around a field is a leftover of spreadsheets and is trimmed; a field of nothing else is absent.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from bulk.model import RESERVED_MODULE_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Rules:
    """The platform's rules for a module's fields."""

    __slots__ = ("_lenient_alias",)

    def __init__(self, *, lenient_alias: bool = False) -> None:
        """Take the rules as documented, or with any printable character in AliasName."""
        self._lenient_alias = lenient_alias

    def accept(
        self, product_keys: Sequence[str], module_names: Sequence[str], aliases: Sequence[str], descs: Sequence[str]
    ) -> bool:
        """Say quickly whether all these rows are valid as they stand; False means: look closer with `judge`.

        Args:
            product_keys: One a row, as of all fields; an absent one is empty.
            module_names: Its ModuleNames.
            aliases: Its AliasNames.
            descs: Its Descs.
        """
        # One look at all that a column holds costs a fraction of a look at each of its cells. Printable leaves out
        # control characters, halves of surrogate pairs and all white space but the space.
        keys, texts = "".join(product_keys), "".join(descs)
        return (
            all(product_keys)
            and keys.isprintable()
            and " " not in keys
            and all(module_names)
            and _longest(module_names) <= MAX_NAME_CHARS
            and not BEYOND_MODULE_NAME.search("".join(module_names))
            and RESERVED_MODULE_NAME not in map(str.casefold, module_names)
            and _longest(aliases) <= MAX_NAME_CHARS
            and not BEYOND_ALIAS_NAME.search("".join(aliases))
            and _longest(descs) <= MAX_DESC_CHARS
            and texts.isprintable()
            and len(texts) == sum(map(len, map(str.strip, descs)))
        )

    def judge(self, values: tuple[str, str, str, str]) -> tuple[str, str, str, str] | str:
        """Trim and check the fields of a row, absent ones given as empty; return them, or what is wrong with them."""
        product_key, module_name, alias_name, desc = (value.strip() for value in values)
        problems = (
            _problem_of_product_key(product_key),
            _problem_of_module_name(module_name),
            self._problem_of_alias_name(alias_name),
            _problem_of_desc(desc),
        )
        return "; ".join(filter(None, problems)) or (product_key, module_name, alias_name, desc)

    def _problem_of_alias_name(self, value: str) -> str | None:
        if len(value) > MAX_NAME_CHARS:
            return f"AliasName has {len(value)} characters, the platform takes {MAX_NAME_CHARS}"
        if self._lenient_alias:
            hidden = next((char for char in value if not char.isprintable()), None)
            return f"AliasName holds {_named(hidden)}, which is not printable" if hidden else None
        beyond = BEYOND_ALIAS_NAME.search(value)
        if beyond:
            return (
                f"AliasName holds {_named(beyond[0])}, the platform documents Chinese characters, letters, digits, "
                "'.', '_' and '-'; --lenient-alias sends it all the same"
            )
        return None


def _longest(values: Sequence[str]) -> int:
    return max(map(len, values), default=0)


def _problem_of_product_key(value: str) -> str | None:
    if not value:
        return "ProductKey is missing"
    if value.isprintable() and " " not in value:
        return None
    hidden = next(char for char in value if char == " " or not char.isprintable())
    return f"ProductKey holds {_named(hidden)}"


def _problem_of_module_name(value: str) -> str | None:
    if not value:
        return "ModuleName is missing"
    if value.casefold() == RESERVED_MODULE_NAME:
        return f"ModuleName {value!r} is reserved for the firmware of the whole device"
    beyond = BEYOND_MODULE_NAME.search(value)
    if beyond:
        return f"ModuleName holds {_named(beyond[0])}, the platform takes A-Z, a-z, 0-9, '.', '_' and '-'"
    if len(value) > MAX_NAME_CHARS:
        return f"ModuleName has {len(value)} characters, the platform takes {MAX_NAME_CHARS}"
    return None


def _problem_of_desc(value: str) -> str | None:
    if len(value) > MAX_DESC_CHARS:
        return f"Desc has {len(value)} characters, the platform takes {MAX_DESC_CHARS}"
    if value.isprintable():
        return None
    beyond = BEYOND_DESC.search(value)
    return f"Desc holds {_named(beyond[0])}" if beyond else None


def _named(char: str) -> str:
    code_point = f"U+{ord(char):04X}"
    if char.isprintable() and char != " ":
        return f"{char!r} ({code_point})"
    if unicodedata.category(char) == "Cc":
        return f"a control character ({code_point})"
    return f"{unicodedata.name(char, 'an invisible character').lower()} ({code_point})"
