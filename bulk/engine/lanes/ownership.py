"""A listing without a module of ours ends ownership: a later module of its name is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.engine.sessions.recorder import Recorder
    from bulk.model import OtaModule

__all__ = ["Ours"]


class Ours:
    """The modules of a product that were ours before its lane began, as long as every listing shows them."""

    def __init__(self, product_key: str, names: Iterable[str], recorder: Recorder) -> None:
        self._product_key = product_key
        self._recorder = recorder
        self._names = {name.casefold(): name for name in names}

    def seen_in(self, listed: Iterable[OtaModule]) -> None:
        """Take note of a listing. What the lane itself has made since is not asked for: a listing may lag."""
        if not self._names:
            return
        gone = self._names.keys() - {module.key[1] for module in listed}
        for key in gone:
            self._recorder.disown(self._product_key, self._names.pop(key))
