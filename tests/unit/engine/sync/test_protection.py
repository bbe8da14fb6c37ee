"""An invalid row may ask for any module that it can stand for: none of these is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox import Account
from tests.nights import FULL, OTHER
from tests.unit.engine.sync.conftest import Estate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    MakeSynced = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize(
    ("lines", "deleted"),
    [
        ([f"{OTHER},bad name !,x,y"], {(FULL, "m0")}),
        ([f"{OTHER},bad name !,x,y", f"{OTHER},bad too !,x,y"], {(FULL, "m0")}),
        ([f"{OTHER},bad name !,x,y", f"{FULL},bad too !,x,y"], set()),
        ([" ,m0,x,y"], set()),
        (["a1Prod0000X,bad name !,x,y"], set()),
    ],
    ids=["its product", "twice", "both", "no product", "an unknown product"],
)
async def test_nothing_is_deleted_where_an_invalid_row_may_ask_for_it(
    make_synced: MakeSynced, lines: list[str], deleted: set[tuple[str, str]]
) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"), (FULL, "m0"))
    nights.write(nights.rows, *lines)

    summary = await nights.sync(prune=True)

    assert summary.exit_code == 1
    gone = {key for key in ((FULL, "m0"), (OTHER, "m0")) if key[1] not in nights.box.texts(key[0])}
    assert gone == deleted
    reasons = {record for key, record in nights.records().items() if key[1] == "m0" and record[0] == "surplus"}
    assert reasons == ({("surplus", "invalid_row")} if len(deleted) < 2 else set())


@pytest.mark.parametrize(
    ("row", "deleted"),
    [
        ("cn,a1cn000000,bad name !,x", {"eu"}),
        ("cn, ,m0,x", {"eu"}),
        ("us,a1cn000000,m0,x", set()),
        (" ,a1cn000000,m0,x", set()),
    ],
    ids=["its product", "its account", "an unknown account", "no account"],
)
async def test_an_invalid_row_protects_the_account_that_it_names_or_all(
    make_estate: Callable[..., Awaitable[Any]], row: str, deleted: set[str]
) -> None:
    estate = await make_estate()
    kept = [cells for cells in estate.rows if cells[2] != "m0" or cells[1].endswith("1")]
    estate.write([*kept, *((name, f"a1{name}000001", "new", "new") for name in ("cn", "eu"))])
    with estate.file.open("a", encoding="utf-8") as file:
        file.write(f"{row}\n")

    await estate.sync(prune=True)

    assert {name for name in ("cn", "eu") if "m0" not in estate.boxes[name].texts(f"a1{name}000000")} == deleted


def write_map(file: Path, endpoint: str, *pairs: tuple[str, str]) -> None:
    lines = "".join(f"{source},{target},{endpoint} (alibaba)\n" for source, target in pairs)
    file.write_text(f"ProductKey,TargetProductKey,Target\n{lines}", encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "deleted"),
    [
        ("s2,bad name !,x,d", {"t1"}),
        ("s1,bad name !,x,d", {"s1"}),
        ("s0,bad name !,x,d", set()),
        (" ,m0,x,d", set()),
    ],
    ids=["s2", "s1", "not in the map", "no product"],
)
async def test_an_invalid_row_of_a_mapped_input_protects_the_product_of_the_target(
    make_nights: Callable[..., Any], tmp_path: Path, line: str, deleted: set[str]
) -> None:
    """The target has a product whose key is that of another product of the source."""
    nights = make_nights([(f"s{number}", f"m{index}", "x", "d") for number in (1, 2) for index in range(3)])
    write_map(tmp_path / "map.csv", nights.box.endpoint, ("s1", "t1"), ("s2", "s1"), ("s3", "t3"))
    settings = {"product_map": str(tmp_path / "map.csv")}
    assert (await nights.sync(settings=settings)).exit_code == 0
    kept = [row for row in nights.rows if row[1] != "m0"]
    nights.write([*kept, ("s3", "n0", "n", ""), ("s3", "n1", "n", "1")], line)

    await nights.sync(settings=settings, prune=True)

    assert {product for product in ("t1", "s1") if "m0" not in nights.box.texts(product)} == deleted


async def test_an_invalid_row_of_a_mapped_input_protects_nothing_in_the_other_accounts_of_the_target(
    make_estate: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    estate = await make_estate()
    lines = [
        f"s-{name}-{number},{name},a1{name}{number:06d},{estate.boxes[name].endpoint} (alibaba)\n"
        for name in ("cn", "eu")
        for number in range(2)
    ]
    (tmp_path / "map.csv").write_text(
        f"ProductKey,TargetAccount,TargetProductKey,Target\n{''.join(lines)}", encoding="utf-8"
    )
    settings = {"product_map": str(tmp_path / "map.csv")}
    rows = [f"s-{row[0]}-{int(row[1][4:])},{row[2]},{row[3]}\n" for row in estate.rows if row[2] != "m0"]
    rows += [f"s-{name}-1,n{number},n\n" for name in ("cn", "eu") for number in range(2)]
    estate.file.write_text(f"ProductKey,ModuleName,AliasName\n{''.join(rows)}s-cn-0,bad name !,x\n", encoding="utf-8")

    summary = await estate.sync(settings=settings, prune=True)

    assert summary.outcomes["invalid"] == 1
    kept = {
        (name, number)
        for name in ("cn", "eu")
        for number in range(2)
        if "m0" in estate.boxes[name].texts(f"a1{name}{number:06d}")
    }
    assert kept == {("cn", 0)}


async def test_a_product_that_rows_give_to_a_second_account_protects_that_account(
    make_box: Callable[..., Any], tmp_path: Path
) -> None:
    """Whose product it is, nobody can tell: one of the two keys is mistyped, or one of the two accounts."""
    free: dict[str, Any] = {"qps": 0, "list_qps": 0, "rates": {"products": 0, "product": 0}}
    box = make_box(
        accounts=tuple(
            Account(name=name, access_key_id=f"id-{name}", access_key_secret=f"secret-{name}", uid=uid, **free)
            for name, uid in (("cn", "1000000000000001"), ("eu", "1000000000000002"))
        )
    )
    estate = Estate(tmp_path / "m.csv", {"cn": box, "eu": box}, of_one_platform=True)
    estate.write((name, f"a1{name}000000", f"m{index}", "a") for name in ("cn", "eu") for index in range(3))
    assert (await estate.sync()).exit_code == 0
    kept = [row for row in estate.rows if row[2] != "m0"]
    estate.write(
        [*kept, *((name, f"a1{name}000000", "n", "n") for name in ("cn", "eu")), ("eu", "a1cn000000", "x", "")]
    )

    summary = await estate.sync(prune=True)

    assert (summary.outcomes["invalid"], (summary.changes or {})["deleted"]) == (1, 1)
    assert "m0" in box.texts("a1eu000000", "eu")
