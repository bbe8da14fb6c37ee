"""What a map of products says, and which maps and jobs are refused: a wrong map writes into somebody's products."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bulk.errors import InputError
from bulk.rows.products.product_map import MAP_COLUMNS, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.rows.products.product_map import ProductMap

    Read = Callable[..., ProductMap]

HEADER = f"{','.join(MAP_COLUMNS)}\n"
OLD, NEW = "https://old (alibaba)", "https://new (tuya)"


def row(
    key: str, target_key: str, *, account: str = "", target_account: str = "", source: str = "", to: str = ""
) -> str:
    return f"{account},{key},,{target_account},{target_key},,,{source},{to}\n"


def test_columns_are_found_in_any_order_and_letter_case(read_map: Read) -> None:
    found = read_map("TARGETPRODUCTKEY,note,product_key,Target Account\n t1 ,x,s1, cn \nt2,,s2\n")

    assert found.place_of("", "s1") == Place("cn", "t1")
    assert found.place_of("", "s2") == Place("", "t2")


def test_objects_are_rows_of_a_map_too(read_map: Read) -> None:
    lines = '{"ProductKey":"s1","TargetProductKey":" t1 ","TargetAccount":null,"Target":"https://new (tuya)"}\n'

    found = read_map(lines, "map.jsonl")

    assert found.place_of("", "s1") == Place("", "t1")
    assert found.targets == {"": frozenset({NEW})}


@pytest.mark.parametrize(
    ("account", "key", "place"),
    [
        ("cn", "s1", "t1"),
        ("eu", "s1", "t2"),
        ("", "s1", "alone: it is in several accounts"),
        ("us", "s1", "for account 'us'"),
        ("", "s2", "t3"),
        ("cn", "s2", "for account 'cn'"),
        ("", "s3", "t4"),
        ("cn", "s3", "t4"),
        ("", "s4", "map.csv"),
        ("cn", "s4", "for account 'cn'"),
    ],
)
def test_row_needs_its_account_only_where_a_key_is_in_several(
    read_map: Read, account: str, key: str, place: str
) -> None:
    found = read_map(
        HEADER
        + row("s1", "t1", account="cn")
        + row("s1", "t2", account="eu")
        + row("s2", "t3", account="us")
        + row("s3", "t4")
    ).place_of(account, key)

    if place.startswith("t"):
        assert isinstance(found, Place)
        assert found.product_key == place
    else:
        assert isinstance(found, str)
        assert place in found


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        (row("s1", ""), ["line 2: ProductKey 's1' has no TargetProductKey"]),
        (row("s1", "", account="cn"), ["line 2: ProductKey 's1' of account 'cn' has no TargetProductKey"]),
        (row("s1", "t1") + row("s1", "t2"), ["line 3: ProductKey 's1' is in line 2 already"]),
        (row("s1", "t1") + row("s2", "t1"), ["line 3: TargetProductKey 't1' is in line 2 already: two products"]),
        (row("s1", "t 1"), ["line 2: TargetProductKey"]),
        (row("s1", "1.0E+10"), ["line 2: TargetProductKey"]),
        (row("", "t1") + row("s1", ""), ["line 2: ", "line 3: ProductKey 's1' has no"]),
    ],
)
def test_map_that_leaves_a_product_open_is_refused_line_by_line(read_map: Read, rows: str, faults: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        read_map(HEADER + rows)

    assert raised.value.file is not None
    lines = str(raised.value).splitlines()[1:]
    assert [line.strip()[: len(fault)] for line, fault in zip(lines, faults, strict=True)] == faults


def test_same_key_in_two_accounts_is_two_products(read_map: Read) -> None:
    found = read_map(HEADER + row("s1", "t", account="cn", target_account="a") + row("s1", "t", target_account="b"))

    assert [found.place_of("cn", "s1"), found.place_of("", "s1")] == [Place("a", "t"), Place("b", "t")]


def test_only_the_first_twenty_faults_are_named(read_map: Read) -> None:
    with pytest.raises(InputError) as raised:
        read_map(HEADER + "".join(row(f"s{number}", "") for number in range(23)))

    lines = str(raised.value).splitlines()
    assert (len(lines), lines[-1].strip()) == (22, "and 3 more")
    assert "line 21: " in lines[-2]


def test_key_that_looks_spoiled_is_taken_if_the_settings_say_so(read_map: Read) -> None:
    found = read_map(HEADER + row("s1", "1.0E+10"), lenient_keys=True)

    assert found.place_of("", "s1") == Place("", "1.0E+10")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("ProductKey,ModuleName\ns1,m\n", "no column TargetProductKey"), (HEADER, "no product is in it")],
)
def test_file_that_maps_nothing_is_no_map(read_map: Read, content: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_map(content)


@pytest.mark.parametrize(
    ("rows", "targets", "reason"),
    [
        (row("s1", "t1", to=NEW), {"": OLD}, "it is for https://new (tuya), and this job is for https://old (alibaba)"),
        (row("s1", "t1", to=NEW) + row("s2", "t2", to=OLD), {"": NEW}, "it is for https://old (alibaba), and this job"),
        (row("s1", "t1"), {"": NEW}, "no row says in Target what account '' is"),
        (row("s1", "t1", to=NEW, source=OLD), {"": OLD}, "it moves modules away from https://old (alibaba)"),
        (row("s1", "t1", to=NEW, source=NEW, account="cn"), {"": NEW}, "it moves modules away from https://new"),
        (row("s1", "t1", to=NEW), {"cn": NEW}, "its rows have no TargetAccount, and the settings name accounts"),
        (row("s1", "t1", to=NEW, target_account="cn"), {"": NEW}, "TargetAccount 'cn' is in it, and the settings name"),
        (
            row("s1", "t1", to=NEW, target_account="us"),
            {"cn": NEW, "eu": OLD},
            "TargetAccount 'us' is not in the settings; the accounts are 'cn', 'eu'",
        ),
        (
            row("s1", "t1", account="cn", target_account="cn", source=OLD, to=OLD),
            {"cn": OLD},
            "it moves modules away from https://old (alibaba), and this job would write to that platform",
        ),
        (
            row("s1", "s2", account="cn", target_account="eu", source=OLD, to=OLD)
            + row("s2", "t2", account="cn", target_account="eu", source=OLD, to=OLD),
            {"cn": OLD, "eu": OLD},
            "it moves modules away from product s2 of https://old (alibaba), and would write to it",
        ),
    ],
)
def test_job_that_could_write_to_the_source_or_to_another_platform_is_refused(
    read_map: Read, rows: str, targets: Mapping[str, str], reason: str
) -> None:
    found = read_map(HEADER + rows)

    with pytest.raises(InputError, match=re.escape(reason)):
        found.refuse_other_targets(targets)


@pytest.mark.parametrize(
    ("rows", "targets"),
    [
        (row("s1", "t1", to=NEW) + row("s2", "t2"), {"": NEW}),
        (row("s1", "t1", to=NEW, source=OLD), {"": NEW}),
        (row("s1", "s1", to=NEW, source=OLD), {"": NEW}),
        (row("s1", "t1", account="cn", target_account="eu", source=OLD, to=OLD), {"cn": OLD, "eu": OLD}),
        (row("s1", "t1", target_account="cn", to=NEW), {"cn": NEW, "eu": OLD}),
    ],
)
def test_job_for_the_maps_own_target_is_let_through(read_map: Read, rows: str, targets: Mapping[str, str]) -> None:
    read_map(HEADER + rows).refuse_other_targets(targets)
