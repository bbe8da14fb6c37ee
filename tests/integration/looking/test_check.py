"""What a comparison finds, against the platform and between two files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking.check import check
from bulk.errors import InputError
from bulk.settings import Settings
from tests.integration.looking.conftest import READS, actions_seen, box_of, fill, keys_of, settings_for

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
THERE = [
    ("a1A", "same", "主控", "d"),
    ("a1A", "text", "x", "d"),
    ("a1A", "Case"),
    ("a1A", "more"),
    ("a1B", "blank", "x"),
]
INPUT = HEADER + "a1A,same,主控,d\na1A,text,y,d\na1A,case,,\na1A,gone,,\na1B,blank,,\n,bad,,\n"


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def counts_of(done: Any) -> dict[str, int]:
    return {str(verdict): count for verdict, count in done.counts.items() if count}


async def test_each_row_is_compared_with_a_fresh_listing(tmp_path: Path) -> None:
    async with box_of() as box:
        fill(box, THERE)
        done = await check(
            written(tmp_path / "a.csv", INPUT),
            settings_for(box),
            surplus=True,
            output=tmp_path / "f.jsonl",
            credentials=keys_of(box),
        )

        assert actions_seen(box) <= READS
    assert (done.rows, done.equal, done.exit_code) == (6, 2, 1)
    assert counts_of(done) == {"missing": 1, "different": 2, "unread": 1, "surplus": 1}
    findings = [orjson.loads(line) for line in (tmp_path / "f.jsonl").read_bytes().splitlines()]
    assert [(each["verdict"], each["line"]) for each in findings] == [
        ("different", 3),
        ("different", 4),
        ("missing", 5),
        ("unread", 7),
        ("surplus", None),
    ]


async def test_all_equal_is_0_and_surplus_counts_only_if_asked_for(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "a1A,same,,\n")
    async with box_of() as box:
        fill(box, THERE)
        plain = await check(source, settings_for(box), credentials=keys_of(box))
        strict = await check(source, settings_for(box), surplus=True, credentials=keys_of(box))

    assert (plain.exit_code, strict.exit_code) == (0, 1)


async def test_product_that_can_not_be_listed_is_unread_never_missing(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "a1A,same,,\na1Nowhere01,m,,\n")
    async with box_of(products=frozenset({"a1A"})) as box:
        fill(box, THERE[:1])
        done = await check(source, settings_for(box), credentials=keys_of(box))

    assert counts_of(done) == {"unread": 1}
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        (HEADER + "a1A,m,x,d\n", {}),
        (HEADER + "a1A,m,x,\n", {"different": 1}),
        (HEADER + "a1A,n,x,d\n", {"missing": 1, "surplus": 1}),
        ("Account,ProductKey,ModuleName,AliasName,Desc\ncn,a1A,m,x,d\n", {}),
    ],
)
async def test_two_files_are_compared_without_keys(tmp_path: Path, other: str, counts: dict[str, int]) -> None:
    first, second = written(tmp_path / "a.csv", HEADER + "a1A,m,x,d\n"), written(tmp_path / "b.csv", other)
    done = await check(first, Settings(), other=second, surplus=True)

    assert counts_of(done) == counts


async def test_files_of_accounts_are_compared_account_by_account(tmp_path: Path) -> None:
    head = "Account,ProductKey,ModuleName\n"
    first = written(tmp_path / "a.csv", head + "cn,a1A,m\neu,a1A,m\n")
    second = written(tmp_path / "b.csv", head + "cn,a1A,m\n")

    assert counts_of(await check(first, Settings(), other=second)) == {"missing": 1}


async def test_a_map_leads_from_the_sources_keys_to_the_targets(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "s1,m,,\ns2,m,,\n")
    async with box_of() as box:
        fill(box, [("t1", "m")])
        here = f"{box.endpoint.rstrip('/')} (alibaba)"
        path = written(tmp_path / "map.csv", f"ProductKey,TargetProductKey,Target\ns1,t1,{here}\n")
        done = await check(source, settings_for(box, product_map=path), credentials=keys_of(box))
        files = await check(
            source,
            settings_for(box, product_map=path),
            other=written(tmp_path / "b.csv", HEADER + "t1,m,,\n"),
        )
        other = written(tmp_path / "other.csv", "ProductKey,TargetProductKey,Target\ns1,t1,https://else (tuya)\n")
        with pytest.raises(InputError, match="it is for"):
            await check(source, settings_for(box, product_map=other), credentials=keys_of(box))

    assert counts_of(done) == counts_of(files) == {"unread": 1}
