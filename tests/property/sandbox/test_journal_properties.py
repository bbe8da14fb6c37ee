"""Whatever happens in a world, a second sandbox on the same journal meets the same world."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.sandbox.accounts.account import Account
from bulk.sandbox.worlds.cloud import Cloud
from bulk.sandbox.worlds.console import Console
from bulk.sandbox.worlds.seeds import starting_world

if TYPE_CHECKING:
    from bulk.sandbox.worlds.world import World

CN = Account(name="cn", access_key_id="cn", access_key_secret="s", uid="1", world=starting_world())
EU = replace(CN, name="eu", access_key_id="eu", uid="2", world=None)

PRODUCTS = st.sampled_from(["a1Demo00001", "p", "q"])
NAMES = st.sampled_from(["mcu", "MCU", "wifi"])
TEXTS = st.none() | st.text(max_size=3)
STEPS = st.tuples(
    st.sampled_from(["cn", "eu"]),
    st.sampled_from(["create", "update", "delete", "add_package", "drop_package", "add_product", "drop_product"]),
    PRODUCTS,
    NAMES,
    TEXTS,
)


def do(console: Console, deed: str, product_key: str, name: str, text: str | None) -> None:
    match deed:
        case "create" | "update":
            getattr(console, deed)(product_key, name, alias_name=text, desc=text)
        case "delete" | "add_package":
            getattr(console, deed)(product_key, name)
        case "drop_package":
            console.drop_package(str(len(console.world.packages())))
        case _:
            getattr(console, deed)(product_key)


def content(world: World) -> object:
    keys = ["a1Demo00001", "p", "q"]
    return (
        world.products(),
        [(world.has_product(key), world.product(key), world.modules(key)) for key in keys],
        world.packages(),
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(STEPS, max_size=12))
def test_second_sandbox_on_a_journal_meets_the_same_worlds(steps: list[tuple[str, str, str, str, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "cloud.jsonl"
        first = Cloud(state, (CN, EU), with_demo=False)
        consoles = {account.name: Console(first.world_of(account), clock=lambda: 0.0) for account in (CN, EU)}
        for account, deed, product_key, name, text in steps:
            try:
                do(consoles[account], deed, product_key, name, text)
            except ValueError:
                continue  # the platform would not allow it either
        first.close()

        second = Cloud(state, (CN, EU), with_demo=False)
        second.close()

    assert [content(second.world_of(account)) for account in (CN, EU)] == [
        content(first.world_of(account)) for account in (CN, EU)
    ]
