"""Files of a job, and accounts that each have a platform in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pytest

from bulk.engine.lanes import sending
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.sandbox import SandboxConfig
    from bulk.settings import Settings


def carrying(sender: ModuleType, send: Callable[..., Any]) -> Any:
    """Return the transport that a module uses, with ``send`` in front of it: it gets the transport and the request."""
    carried = vars(sender)["HttpTransport"]

    class Carrying:
        def __init__(self, **how: Any) -> None:
            self._carrier = carried(**how)

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def send(self, request: Any, **how: Any) -> Any:
            return await send(self._carrier, request, **how)

    return Carrying


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a file and return its path: ``write("a.csv", text)``."""

    def write_text(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_text


@pytest.fixture
def make_job() -> Callable[..., tuple[Settings, dict[str, CredentialProvider]]]:
    """Return the settings and keys of a job whose accounts have these platforms: ``make_job({"cn": box, …})``."""

    def make(boxes: dict[str, Any], **changes: Any) -> tuple[Settings, dict[str, CredentialProvider]]:
        accounts = {name: AccountSettings(endpoint=box.endpoint) for name, box in boxes.items()}
        first = next(iter(boxes.values()))
        keys = {name: box.keys() for name, box in boxes.items()}
        return first.settings(endpoint=None, accounts=accounts, **changes), keys

    return make


@pytest.fixture
def rehearsals(make_box: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let a rehearsal have its platform in this process, and return the platforms that were started for one."""
    kind, boxes, started = type(make_box()), vars(sending)["HttpTransport"].args[0], list[Any]()

    class InProcess:
        def __init__(self, config: SandboxConfig) -> None:
            self._box = kind(config)

        async def __aenter__(self) -> Any:
            self._box.open()
            self._box.endpoint = f"https://rehearsal-{len(started)}.example"
            started.append(self._box)
            boxes[self._box.endpoint] = self._box
            return self._box

        async def __aexit__(self, *_: object) -> None:
            self._box.close()
            del boxes[self._box.endpoint]

    monkeypatch.setattr("bulk.sandbox.Sandbox", InProcess)
    return started
