"""What a run and a plan work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.ledger.store import Ledger
    from bulk.model import Target
    from bulk.settings import Settings

__all__ = ["Job"]


@dataclass(kw_only=True)
class Job:
    """An input on its way to a target, while its ledger is open."""

    input_name: str
    """Path of the input; ``-``: stdin."""

    settings: Settings
    target: Target
    ledger: Ledger
    """For a plan, a copy that is thrown away."""

    listener: Listener
    stop: StopSignal
