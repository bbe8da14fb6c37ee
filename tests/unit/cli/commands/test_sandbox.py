"""`bulk sandbox` as a command: how it reads its options, what it prints, and what ends it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from bulk.cli.app import main
from bulk.sandbox import Box, DataShape, RivalPlan
from bulk.sandbox.actions import ACTION_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ACCOUNTS = """
[accounts.factory-1]
uid = "100"
products = ["a1Lamp00001"]

[accounts.eu]
uid = "200"
qps = 3
"""


class Served(Box):
    """A platform that serves nobody: what the command wants of one, and the signal that ends it at once."""

    configs: tuple[Any, ...] = ()
    ends_with = signal.SIGTERM

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        type(self).configs += (config,)

    async def __aenter__(self) -> Self:
        self.open()
        self.endpoint = "http://127.0.0.1:4711"
        os.kill(os.getpid(), self.ends_with)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Served]]:
    monkeypatch.chdir(tmp_path)
    kind: type[Served] = type("Served", (Served,), {})
    monkeypatch.setattr("bulk.sandbox.Sandbox", kind)
    before = {number: signal.getsignal(number) for number in ENDINGS}
    yield kind
    for number, handler in before.items():
        signal.signal(number, handler)


def config_of(served: type[Served], *arguments: str) -> Any:
    assert main(["sandbox", *arguments]) == 0
    return served.configs[-1]


@pytest.mark.parametrize("number", ENDINGS)
def test_each_signal_ends_it_after_it_printed_how_to_reach_it(
    served: type[Served], capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    served.ends_with = number

    assert main(["sandbox"]) == 0

    said = capsys.readouterr()
    assert [line.partition("=")[0] for line in said.out.splitlines()] == [
        "export BULK_ENDPOINT",
        "export ALIBABA_CLOUD_ACCESS_KEY_ID",
        "export ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    ]
    assert said.out.startswith("export BULK_ENDPOINT=http://127.0.0.1:4711\n")
    assert "The sandbox is serving" in said.err


@pytest.mark.usefixtures("served")
def test_hangup_that_is_ignored_as_under_nohup_does_not_end_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    assert main(["sandbox"]) == 0

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_keys_of_each_account_are_printed_by_its_name(served: type[Served], capsys: pytest.CaptureFixture[str]) -> None:
    Path("accounts.toml").write_text(ACCOUNTS, encoding="utf-8")

    config = config_of(served, "--accounts", "accounts.toml", "--qps", "7")

    assert [line.partition("=")[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "export FACTORY_1_ACCESS_KEY_ID",
        "export FACTORY_1_ACCESS_KEY_SECRET",
        "export EU_ACCESS_KEY_ID",
        "export EU_ACCESS_KEY_SECRET",
    ]
    assert {account.name: account.qps for account in config.accounts} == {"factory-1": 7, "eu": 3}


def test_options_are_read_by_the_parts_that_use_them(served: type[Served]) -> None:
    Path("products.txt").write_text("a1Lamp00001\na1Lamp00002\n", encoding="utf-8")

    config = config_of(
        served,
        *("--products", "products.txt", "--rate", "packages=5", "--deny", "update"),
        *("--data-shape", "wrapped", "--rival", "create=3%", "--faults", "throttle=2%"),
    )

    assert config.products == {"a1Lamp00001", "a1Lamp00002"}
    assert list(config.rates.values()) == [5.0]
    assert config.denied == {ACTION_NAMES["update"]}
    assert config.data_shape is DataShape.WRAPPED
    assert config.rival == RivalPlan.parse("create=3%")


def test_without_options_every_product_is_known_and_nobody_else_changes_the_cloud(served: type[Served]) -> None:
    config = config_of(served)

    assert (config.products, config.rival, config.accounts, config.denied) == (None, None, (), frozenset())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "packages=many"), "--rate packages=many: "),
        (("--rate", "nothing=5"), "write --rate packages=5"),
        (("--deny", "Fly"), "--deny: "),
        (("--products", "gone.txt"), "--products "),
        (("--accounts", "accounts.toml", "--world", "world.toml"), "name it in the accounts file"),
    ],
)
def test_option_that_can_not_be_read_is_named_and_nothing_is_served(
    served: type[Served], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    Path("accounts.toml").write_text(ACCOUNTS, encoding="utf-8")
    Path("world.toml").write_text('[[products]]\nproduct_key = "a1Lamp00001"\n', encoding="utf-8")

    assert main(["sandbox", *arguments]) == 2

    assert words in capsys.readouterr().err
    assert served.configs == ()


def test_dump_prints_the_kept_cloud_and_serves_nothing(
    served: type[Served], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sandbox", "--state", "cloud.db"])
    capsys.readouterr()

    assert main(["sandbox", "--state", "cloud.db", "--dump"]) == 0

    said = capsys.readouterr()
    assert json.loads(said.out)
    assert "serving" not in said.err
    assert len(served.configs) == 1


def test_help_ends_with_the_grammars(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--help"]) == 0

    shown = capsys.readouterr().out
    assert [heading for heading in ("Faults:", "Rival:", "Accounts file:") if heading in shown] == [
        "Faults:",
        "Rival:",
        "Accounts file:",
    ]
