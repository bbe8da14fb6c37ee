"""Commands that run in this process, against a platform in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox import Account

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FREE: dict[str, Any] = {"qps": 0.0, "list_qps": 0.0, "rates": {"products": 0, "product": 0}}


@pytest.fixture
def make_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_box: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes a platform that commands reach from an empty folder: the environment names it and its keys.

    With names of accounts, a bulk.toml in that folder names them instead.
    """

    def make(*names: str, **config: Any) -> Any:
        accounts = tuple(
            Account(
                name=name, uid=f"uid-{name}", access_key_id=f"id-{name}", access_key_secret=f"secret-{name}", **FREE
            )
            for name in names
        )
        box = make_box(**config, **({"accounts": accounts} if names else {}))
        environ = {"BULK_DIALECT": "alibaba", "BULK_QPS": "0", "BULK_LIST_QPS": "0"}
        if not names:
            environ |= {"BULK_ENDPOINT": box.endpoint}
        for name in box.accounts:
            prefix, keys = name.upper() or "ALIBABA_CLOUD", box.credentials_of(name)
            environ |= {
                f"{prefix}_ACCESS_KEY_ID": keys.access_key_id,
                f"{prefix}_ACCESS_KEY_SECRET": keys.access_key_secret,
            }
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["bulk"])
        told = [f'[accounts.{name}]\nendpoint = "{box.endpoint}"\nkey_env = "{name.upper()}"\n' for name in names]
        if told:
            (tmp_path / "bulk.toml").write_text("".join(told), encoding="utf-8")
        return box

    return make
