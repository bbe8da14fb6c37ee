"""Look at all that a sync would do in an account, and say which kinds of change need a person's approval. Pure.

Each limit prevents an accident that hurt users of other tools: half a file, another file, a filter that changed, or a
slow loss over many nights. A limit withholds its kind of change in that account only; creates still run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.control.reconcile import Withheld
from bulk.errors import SettingsError
from bulk.model import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SENT_SPAN_S",
    "AccountLook",
    "GoodInput",
    "Limit",
    "Objection",
    "guard",
    "lost_too_much",
    "refuse_other_file",
]

SENT_SPAN_S = 20 * 3_600.0
"""Changes sent within this time count as one night's: an hourly job must not pass a limit in small steps."""

_LOST_PERCENT = 5
"""Share of the last good sync's rows or products: if an input lost more, a person must look at it."""

_OTHER_FILE_FRACTION = 10
"""An input with fewer than a tenth of the last good input's keys is another file."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many changes of a kind a night may bring without a person's approval."""

    count: int
    percent: float | None = None
    """Share of the modules concerned; if ``count`` is given as well, the larger of the two applies."""

    def __str__(self) -> str:
        """Return it as it is written."""
        if self.percent is None:
            return f"{self.count}"
        return f"the larger of {self.count} and {self.percent:g}%" if self.count else f"{self.percent:g}%"

    def of(self, modules: int) -> int:
        """Return how many changes it allows for so many modules."""
        return max(self.count, int(modules * (self.percent or 0) / 100))

    @classmethod
    def parse(cls, text: str, setting: str) -> Limit:
        """Read ``N`` or ``N%``.

        Raises:
            SettingsError: It is neither.
        """
        try:
            limit = cls(0, float(text[:-1])) if text.endswith("%") else cls(int(text))
        except ValueError:
            limit = cls(-1)
        if limit.count < 0 or not 0 <= (limit.percent or 0) <= 100:  # noqa: PLR2004 - per cent
            raise SettingsError(f"{{0}} {text!r} is neither a number of modules (50) nor a share of them (2%)", setting)
        return limit


MAX_UPDATES = Limit(20, 10.0)
"""Default, of the managed modules."""

MAX_DELETES = Limit(5, 2.0)
"""Default, of the owned modules. A known accident of another tool's users was 3% of their records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodInput:
    """An input that went through as a whole, with nothing withheld."""

    rows: int
    products: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLook:
    """What is planned in an account, and the numbers to judge it by."""

    managed: int
    """Modules that a file of this ledger named."""

    owned: int
    updates: int
    """Planned, including adoptions. Here and below, changes that a person approved are not counted."""

    deletes: int
    updates_sent: int = 0
    """Sent within `SENT_SPAN_S`; adoptions too."""

    deletes_sent: int = 0
    input: GoodInput
    """The account's part of the whole input as it is now, even if the command narrows the scope."""

    last_good: GoodInput | None = None
    good_keys: int = 0
    """Modules that the account's part of the last good input asked for."""

    common_keys: int = 0
    """Those of them that this one asks for too."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a kind of change needs a person's approval."""

    withheld: Withheld
    message: str


def guard(
    look: AccountLook, *, max_updates: Limit = MAX_UPDATES, max_deletes: Limit = MAX_DELETES
) -> Mapping[ChangeKind, Objection]:
    """Return the kinds of change that are withheld in the whole account, each with its first reason."""
    objections = {}
    if objection := _too_many("update", look.updates, look.updates_sent, max_updates, look.managed, "managed"):
        objections[ChangeKind.UPDATE] = Objection(Withheld.MAX_UPDATES, objection)
    if look.deletes:
        if objection := _too_many("delete", look.deletes, look.deletes_sent, max_deletes, look.owned, "owned"):
            objections[ChangeKind.DELETE] = Objection(Withheld.MAX_DELETES, objection)
        elif shrunk := lost_too_much(look):
            objections[ChangeKind.DELETE] = shrunk
    return objections


def refuse_other_file(*, keys: int, common: int, last_good_keys: int | None) -> str | None:
    """Say why a whole input can't be the next version of the last good one; ``None``: it can.

    Args:
        keys: Modules that the input asks for.
        common: Those of them that the last good input asked for too.
        last_good_keys: Modules that the last good input asked for; ``None``: there was none.
    """
    if not keys:
        return "the input has no valid row, so every module would be surplus: correct the file, then run again"
    if last_good_keys and _is_another(common, last_good_keys):
        return (
            f"the input has {common:,} of the {_counted(last_good_keys, 'module')} of the last one that went through: "
            "this looks like another file. A job of its own needs a ledger of its own: name one with --ledger"
        )
    return None


def _is_another(common: int, last_good_keys: int) -> bool:
    return common * _OTHER_FILE_FRACTION < last_good_keys


def _too_many(kind: str, planned: int, sent: int, limit: Limit, modules: int, which: str) -> str | None:
    allowed = limit.of(modules)
    if not planned or planned + sent <= allowed:
        return None
    done = "sent or adopted" if kind == "update" else "sent"
    before = f" and {sent:,} {done} in the last {SENT_SPAN_S / 3_600:.0f} hours" if sent else ""
    share = "" if limit.percent is None else f", {limit} of {_counted(modules, f'{which} module')}"
    return f"{_counted(planned, kind)} planned{before}: the limit is {allowed:,}{share}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lost_too_much(look: AccountLook) -> Objection | None:
    """Say what an account's part of the input lost since the last good one, if that is more than a night's work.

    Such an input withholds deletes. Until a person approves it, the next input is still compared with the last good
    one. This is so even if there was nothing to delete, and so nothing to withhold.
    """
    if look.last_good is None:
        return None
    for withheld, noun, now, before in (
        (Withheld.FEWER_ROWS, "row", look.input.rows, look.last_good.rows),
        (Withheld.FEWER_PRODUCTS, "product", look.input.products, look.last_good.products),
    ):
        if (before - now) * 100 > before * _LOST_PERCENT:
            return Objection(withheld, f"the input has {_counted(now, noun)}, and had {before:,} in the last good sync")
    if _is_another(look.common_keys, look.good_keys):
        message = (
            f"the input has {look.common_keys:,} of the {_counted(look.good_keys, 'module')} of the last good sync"
        )
        return Objection(Withheld.OTHER_KEYS, message)
    return None
