"""The fields of a row, and the column names that mean them: a table of spellings, and a measure of similarity.

Names are compared without letter case, full-width forms, spaces and marks (`Product Key*`, `ＰＲＯＤＵＣＴ`). Notes in
brackets are ignored (`AliasName (optional)`). A name that says the same twice is compared piece by piece
(`ProductKey/产品标识`, `模块名称 ModuleName`). A name that is only close to a spelling (`Alais Name`, `device_desc`) is
never accepted as that field.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "ACCOUNT_ROWS",
    "MODULES",
    "OF_MODULE",
    "PRODUCTS",
    "REQUIRED",
    "ROWS",
    "Field",
    "Sought",
    "closeness",
    "field_of",
    "normal",
]


class Field(StrEnum):
    """The fields of a row: those of a module, with their names in the platform's API, and the account."""

    PRODUCT_KEY = "ProductKey"
    MODULE_NAME = "ModuleName"
    ALIAS_NAME = "AliasName"
    DESC = "Desc"
    ACCOUNT = "Account"  #: a name of the settings, never sent


OF_MODULE = (Field.PRODUCT_KEY, Field.MODULE_NAME, Field.ALIAS_NAME, Field.DESC)
"""The fields that are sent, in the order of a file without header. Records number them: never change the order."""


class Sought(NamedTuple):
    """Which fields a reader looks for in an input."""

    required: tuple[Field, ...]
    """Each row needs these, and there must be a column for each."""

    fields: frozenset[Field]
    """Columns of other fields are carried, like columns of no field."""

    fill: tuple[str, str, str, str]
    """Value of each field without a column, in the order of `OF_MODULE`. It is valid if the field is not sought."""

    @property
    def is_alone(self) -> bool:
        """Whether a row may be a single cell."""
        return len(self.required) == 1


REQUIRED = (Field.PRODUCT_KEY, Field.MODULE_NAME)

ROWS = Sought(REQUIRED, frozenset(OF_MODULE), ("", "", "", ""))
ACCOUNT_ROWS = Sought(REQUIRED, frozenset(Field), ROWS.fill)
PRODUCTS = Sought((Field.PRODUCT_KEY,), frozenset({Field.PRODUCT_KEY}), ("", "module", "", ""))
MODULES = Sought((Field.MODULE_NAME,), frozenset(OF_MODULE) - {Field.PRODUCT_KEY}, ("a1000000000", "", "", ""))

SPELLINGS: Mapping[Field, tuple[str, ...]] = MappingProxyType(
    {
        Field.PRODUCT_KEY: ("productkey", "产品key", "产品标识", "产品标识符"),
        Field.MODULE_NAME: ("modulename", "otamodulename", "模块名称", "模块名", "ota模块名称", "ota模块名"),
        Field.ALIAS_NAME: ("aliasname", "alias", "modulealias", "modulealiasname", "别名", "模块别名", "ota模块别名"),
        Field.DESC: (
            "desc",
            "description",
            "moduledesc",
            "moduledescription",
            "描述",
            "模块描述",
            "ota模块描述",
        ),
        Field.ACCOUNT: ("account", "accountname", "账号", "账户", "帐号", "帐户", "账号名称", "账户名称"),
    }
)
"""Names that mean a field, in their normal form. Ambiguous names are left out: 产品密钥, 名称, 备注."""

FIELD_BY_NORMAL_NAME = MappingProxyType({name: field for field, names in SPELLINGS.items() for name in names})

CLOSE_WORDS: Mapping[Field, frozenset[str]] = MappingProxyType(
    {
        Field.PRODUCT_KEY: frozenset({"productkey", "产品key", "产品标识"}),
        Field.MODULE_NAME: frozenset({"modulename", "模块名"}),
        Field.ALIAS_NAME: frozenset({"alias", "aliasname", "nickname", "别名", "别称"}),
        Field.DESC: frozenset({"desc", "description", "描述", "说明"}),
        Field.ACCOUNT: frozenset({"account", "账号", "账户", "帐号", "帐户"}),
    }
)
"""Words that make a name look like a field's if they are part of it."""

CLOSE = 0.8
"""From this closeness on, a name is close: one letter of five left out, added or exchanged."""

NOT_OF_THE_NAME = re.compile(r"[\W_]+")
NOTE = re.compile(r"[(（\[【<《{].*?[)）\]】>》}]", re.DOTALL)
PIECES = re.compile(r"[()（）\[\]【】/／|｜,，;；:：\r\n]+")
CHINESE = re.compile(r"[\u3400-\u9fff]+")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[\u3400-\u9fff]+|\d+")


def normal(name: str) -> str:
    """Return the form of a name that is compared."""
    return NOT_OF_THE_NAME.sub("", unicodedata.normalize("NFKC", name)).casefold()


def field_of(name: str) -> Field | None:
    """Return the field that a column's name means beyond doubt."""
    found = FIELD_BY_NORMAL_NAME.get(normal(name)) or FIELD_BY_NORMAL_NAME.get(normal(NOTE.sub("", name)))
    return found or _meant_by_all(PIECES.split(name)) or _meant_by_all([*CHINESE.findall(name), CHINESE.sub("", name)])


def _meant_by_all(pieces: Collection[str]) -> Field | None:
    """Return the field that each piece of a name means, if they agree."""
    meant = {FIELD_BY_NORMAL_NAME.get(normal(piece)) for piece in pieces if normal(piece)}
    return meant.pop() if len(meant) == 1 else None


def closeness(name: str, field: Field) -> float:
    """Return how close a name comes to a field's spellings: 0 is far, from `CLOSE` on it looks like the field.

    Short names are compared as whole words: `device_desc` looks like Desc, `descender` does not.
    """
    own = normal(name)
    if not own:
        return 0.0
    words = {word.casefold() for word in WORDS.findall(unicodedata.normalize("NFKC", name))}
    close = CLOSE_WORDS[field]
    if words & close or any(word in own for word in close if len(word) > len("desc") or not word.isascii()):
        return 1.0
    ratio = max(difflib.SequenceMatcher(None, own, spelling).ratio() for spelling in SPELLINGS[field])
    return ratio if ratio >= CLOSE else 0.0
