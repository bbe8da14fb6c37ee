from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import MAX_CUSTOM_MODULES
from bulk.sandbox import rival
from bulk.sandbox.arrivals import Seen
from bulk.sandbox.rival import PlannedRival, RivalMove, RivalPlan
from bulk.sandbox.worlds.console import Console
from bulk.sandbox.worlds.seeds import starting_world
from bulk.sandbox.worlds.stored import StoredModule
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

LIST, PACKAGES, PRODUCTS = "ListOTAModuleByProduct", "ListOTAFirmware", "QueryProductList"


def seen(action: str = LIST, product_key: str = "p", *, carried_out: bool = True) -> Seen:
    return Seen(
        at=0.0,
        action=action,
        product_key=product_key,
        module_name="",
        status=200,
        code="",
        fault="",
        carried_out=carried_out,
    )


@pytest.fixture
def console(world: World) -> Console:
    for product in ("p", "q", "r"):
        world.put(*(StoredModule(product_key=product, module_name=f"m{number}") for number in range(3)))
    return Console(world, clock=lambda: 1_732_009_663.0)


def play(spec: str, console: Console, requests: Iterable[Seen], *, seed: int = 0) -> PlannedRival:
    planned = PlannedRival(RivalPlan.parse(spec), seed=seed)
    for request in requests:
        planned(request, console)
    return planned


@pytest.mark.parametrize(("move", "left"), [("create", 4), ("update", 3), ("delete", 2)])
def test_rival_changes_the_product_that_was_listed(move: str, left: int, console: Console) -> None:
    planned = play(f"{move}=1x", console, [seen()] * 3)

    (act,) = planned.done
    assert (act.kind, act.product_key) == (move, "p")
    assert len(console.world.modules("p")) == left
    assert len(console.world.modules("q")) == 3


def test_updated_module_has_other_texts_and_a_later_time(console: Console) -> None:
    (act,) = play("update=1x", console, [seen()]).done

    module = console.world.module("p", act.module_name)
    assert module is not None
    assert (module.desc, module.modified_at) == ("Changed by a rival", "2024-11-19T09:47Z")


def test_package_makes_a_module_undeletable_after_either_listing(console: Console) -> None:
    play("package=2x", console, [seen(PACKAGES), seen(LIST, "q")])

    assert [package.product_key for package in console.world.packages()] == ["p", "q"]


def test_products_come_and_go_while_pages_are_read(console: Console) -> None:
    play("product=1x", console, [seen(PRODUCTS, "")])
    newest = console.world.products()[0]
    play("drop-product=1x", console, [seen(PRODUCTS, "")])

    assert newest.startswith("rival")
    assert len(console.world.products()) == 3


def test_rival_never_touches_default_and_never_goes_past_ten(world: World) -> None:
    world.populate(starting_world())
    console = Console(world, clock=lambda: 0.0)
    requests = [seen(product_key="a1Demo00001")] * 40

    made = play("create=100%", console, requests)
    removed = play("delete=100%", console, requests)

    assert len(made.done) == MAX_CUSTOM_MODULES - 1
    assert len(removed.done) == MAX_CUSTOM_MODULES
    assert [module.module_name for module in world.modules("a1Demo00001")] == ["default"]


@pytest.mark.parametrize("request_seen", [seen("CreateOTAModule"), seen(carried_out=False)])
def test_rival_waits_for_a_listing_that_was_carried_out(request_seen: Seen, console: Console) -> None:
    assert play("update=100%", console, [request_seen] * 5).done == []


def test_same_seed_plays_the_same_rival_in_whatever_order_products_are_listed() -> None:
    def acts(order: list[str], seed: int) -> set[tuple[str, str]]:
        world = World(None, products=None)
        world.put(*(StoredModule(product_key=key, module_name=f"m{n}") for key in order for n in range(5)))
        console = Console(world, clock=lambda: 0.0)
        done = play("update=30%", console, [seen(product_key=key) for key in order], seed=seed).done
        return {(act.product_key, act.module_name) for act in done}

    keys = [f"p{number}" for number in range(60)]

    assert acts(keys, 7) == acts(keys[::-1], 7)
    assert acts(keys, 7) != acts(keys, 8)
    assert 5 <= len(acts(keys, 7)) <= 40


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("creat=5%", "--rival: 'creat' is no move; the nearest is create"),
        ("zzz=5%", "it takes create, update"),
        ("create", "--rival: create= is no rate; write create=5% or create=3x"),
        ("create=200%", "is no rate"),
    ],
)
def test_mistake_is_named_with_what_to_write(spec: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        RivalPlan.parse(spec)


def test_grammar_that_help_shows_has_every_move_and_a_readable_example() -> None:
    text = rival.__doc__ or ""

    assert set(re.split(r"[\s,=]+", text)) >= set(RivalMove)
    assert len(RivalPlan.parse(text.partition("Example: ")[2].strip()).moves) == 5


def test_console_refuses_what_the_platform_would() -> None:
    console = Console(World(None, products=None), clock=lambda: 0.0)
    console.create("p", "mcu")

    with pytest.raises(ValueError, match="p has MCU already"):
        console.create("p", "MCU")
    with pytest.raises(ValueError, match="p has no module wifi"):
        console.delete("p", "wifi")


def test_packages_are_numbered_one_after_the_other(console: Console) -> None:
    first = console.add_package("p", "m0")
    second = console.add_package("p", "M1", version="2.0")
    console.drop_package(first)

    assert (first, second) == ("1", "2")
    assert [(package.module_name, package.version) for package in console.world.packages()] == [("m1", "2.0")]


@pytest.mark.parametrize("spec", ["update=100%", "delete=100%", "package=100%"])
def test_rival_finds_nothing_to_change_in_a_product_without_modules(spec: str, world: World) -> None:
    console = Console(world, clock=lambda: 0.0)
    world.put(StoredModule(product_key="p", module_name="default"))

    assert play(spec, console, [seen(action, "p") for action in (LIST, PACKAGES)]).done == []

    assert [module.module_name for module in world.modules("p")] == ["default"]


def test_rival_drops_no_product_where_there_is_none(world: World) -> None:
    assert play("drop-product=100%", Console(world, clock=lambda: 0.0), [seen(PRODUCTS, "")]).done == []


def test_move_of_another_listing_is_neither_made_nor_used_up(console: Console) -> None:
    done = play("create=1x,product=1x", console, [seen(PRODUCTS, ""), seen(LIST), seen(LIST)]).done

    assert [act.kind for act in done] == [RivalMove.PRODUCT, RivalMove.CREATE]
