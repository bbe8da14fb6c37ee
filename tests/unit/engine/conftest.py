"""Files of a job, and accounts that each have a platform in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.settings import Settings


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
