"""A listing without one of our modules ends its ownership: a later module of its name is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.engine.sessions.recorder import Recorder
    from bulk.model import OtaModule

__all__ = ["Ours"]


class Ours:
    """Modules of a product that were ours before its lane began. A module stays ours while every listing shows it."""

    def __init__(self, product_key: str, names: Iterable[str], recorder: Recorder) -> None:
        self._product_key = product_key
        self._recorder = recorder
        self._names = {name.casefold(): name for name in names}

    def seen_in(self, listed: Iterable[OtaModule]) -> None:
        """Note a listing. Modules that the lane itself has created since are not expected: a listing may be late."""
        if not self._names:
            return
        gone = self._names.keys() - {module.key[1] for module in listed}
        for key in gone:
            self._recorder.disown(self._product_key, self._names.pop(key))
