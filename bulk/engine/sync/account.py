"""What the lanes of one account share while a sync changes its products."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.control.reconcile import Withheld
from bulk.model import Change, ChangeKind, Failure, OtaModule

if TYPE_CHECKING:
    from bulk.engine.sessions.session import Session
    from bulk.engine.sync.writing import PlanWriter

__all__ = ["AccountWork"]


@dataclass(kw_only=True)
class AccountWork:
    """What the lanes of one account share while they change its products."""

    session: Session
    writer: PlanWriter
    run_id: str
    approved: bool = False
    """A person approved these changes: no limit counts them."""

    denied: dict[ChangeKind, Failure] = field(default_factory=dict)
    """Kinds of change for which the key has no right."""

    others_changed: str | None = None
    """What else the first update changed; no further update is then sent."""

    undone: list[OtaModule] = field(default_factory=list)
    """Modules deleted for a create that was then refused, and not created again."""

    left: int = 0
    """Deletes that were due and were not carried out."""

    first_update: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the first update is sent and checked."""

    _is_tried: bool = False

    def why_not(self, kind: ChangeKind) -> Withheld | None:
        """Say why a kind of change is no longer sent; ``None``: it is sent."""
        if kind in self.denied:
            return Withheld.NO_PERMISSION
        return Withheld.OTHERS_CHANGED if kind is ChangeKind.UPDATE and self.others_changed else None

    def withhold(self, change: Change, reason: Withheld) -> None:
        """Note in the plan that a change waits for a person."""
        module = change.wanted
        self.writer.amend(
            "withhold_change",
            reason.value,
            self.session.account,
            self.run_id,
            module.product_key,
            module.module_name,
        )

    def end(self, change: Change, state: str) -> None:
        """Note in the plan that a change no longer waits: it is ``done``, or has ``moved``."""
        module = change.wanted
        self.writer.amend(
            "end_planned", state, self.session.account, self.run_id, module.product_key, module.module_name
        )

    def close_swap(self, deleted: OtaModule) -> None:
        """Note that a swap is complete: the new module exists, or the deleted one exists again."""
        self.writer.amend("close_swap", self.session.account, deleted.product_key, deleted.module_name)

    def deny(self, kind: ChangeKind, failure: Failure) -> None:
        """Note that the key lacks the right to a kind of change; the other kinds continue."""
        self.denied[kind] = failure

    def tried(self, changed: str | None) -> None:
        """Note what the first update changed besides its module; ``None``: nothing."""
        self._is_tried = True
        self.others_changed = changed

    @property
    def is_tried(self) -> bool:
        """Whether the first update was checked."""
        return self._is_tried
