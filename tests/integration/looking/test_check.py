"""What a comparison finds, against the platform and between two files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking.check import check
from bulk.engine.looking.export import export
from bulk.errors import InputError, StoppedError
from bulk.sandbox import FaultPlan
from bulk.settings import Settings
from tests.integration.looking.conftest import READS, actions_seen, box_of, fill, keys_of, names_in, settings_for

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


@pytest.mark.parametrize(
    ("narrowed", "counts"),
    [
        ({}, {"missing": 2, "different": 1, "unread": 2, "surplus": 2}),
        ({"only": ("a1A*",)}, {"missing": 1, "unread": 2, "surplus": 1}),
        ({"only": ("a1B",)}, {"missing": 1, "different": 1, "unread": 1, "surplus": 1}),
        ({"limit": 1}, {"missing": 1, "unread": 2, "surplus": 1}),
    ],
)
async def test_products_outside_are_not_compared_and_not_asked_for(
    tmp_path: Path, narrowed: dict[str, Any], counts: dict[str, int]
) -> None:
    source = written(tmp_path / "a.csv", HEADER + "a1A,m,,\na1A,gone,,\na1A,b d,,\na1B,n,x,\na1B,gone,,\n,no,,\n")
    there = [("a1A", "m"), ("a1A", "more"), ("a1B", "n", "y"), ("a1B", "more")]
    async with box_of() as box:
        fill(box, there)
        done = await check(source, settings_for(box, **narrowed), surplus=True, credentials=keys_of(box))
        asked = {seen.product_key for seen in box.seen}
    rows = "".join(f"{key},{name},{''.join(alias)},\n" for key, name, *alias in there)
    other = written(tmp_path / "b.csv", HEADER + rows)
    files = await check(source, Settings(**narrowed), other=other, surplus=True)

    assert counts_of(done) == counts_of(files) == counts
    assert asked == ({"a1A", "a1B"} if not narrowed else {"a1B"} if narrowed == {"only": ("a1B",)} else {"a1A"})


async def test_first_products_with_a_map_are_those_of_the_target(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "s1,m 1,,\ns1,m,,\ns2,m,,\ns2,m 2,,\n")
    async with box_of() as box:
        fill(box, [("t1", "m"), ("s1", "m")])
        here = f"{box.endpoint.rstrip('/')} (alibaba)"
        path = written(tmp_path / "map.csv", f"ProductKey,TargetProductKey,Target\ns1,t1,{here}\ns2,s1,{here}\n")
        first = await check(source, settings_for(box, product_map=path, limit=1), credentials=keys_of(box))
        second = await check(source, settings_for(box, product_map=path, only=("s1",)), credentials=keys_of(box))

    assert [finding.line for finding in first.examples] == [2]
    assert [finding.line for finding in second.examples] == [5]


async def test_findings_are_harmless_in_a_spreadsheet_and_exact_in_json_lines(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "a1A,m,,\na1A,-m,,\n")
    async with box_of() as box:
        fill(box, [("a1A", "m")])
        for name in ("f.csv", "f.jsonl"):
            await check(source, settings_for(box), output=tmp_path / name, credentials=keys_of(box))

    assert "missing,3,,a1A,'-m,not there" in (tmp_path / "f.csv").read_text(encoding="utf-8")
    assert orjson.loads((tmp_path / "f.jsonl").read_bytes())["module_name"] == "-m"


async def test_deadline_ends_it_without_a_file(tmp_path: Path) -> None:
    source, findings = written(tmp_path / "a.csv", HEADER + "a1A,m,,\n"), tmp_path / "f.csv"
    async with box_of(faults=FaultPlan.parse("list:hang-before=100%")) as box:
        for job in (
            check(source, settings_for(box, deadline_s=0.2), output=findings, credentials=keys_of(box)),
            export(tmp_path / "o.csv", settings_for(box, deadline_s=0.2), products=source, credentials=keys_of(box)),
        ):
            with pytest.raises(StoppedError, match=r"the deadline of 0\.2 s is over; .*(not done|nothing)") as raised:
                await job
            assert raised.value.exit_code == 3

    assert names_in(tmp_path) == ["a.csv"]


async def test_rows_that_can_not_be_read_name_what_they_ask_for(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "s1,m 1,,\ns2,m,,\n,n,,\n")
    other = written(tmp_path / "b.csv", HEADER + "t1,m 1,,\nt1,x,,\n")
    path = written(tmp_path / "map.csv", "ProductKey,TargetProductKey\ns1,t1\n")
    done = await check(source, Settings(product_map=path), other=other)

    found = [(finding.line, finding.product_key, finding.module_name) for finding in done.examples]
    assert found == [(2, "t1", "m 1"), (2, "t1", "m 1"), (3, "s2", "m"), (4, "", "n")]
    assert (done.rows, done.equal) == (3, 0)


async def test_what_a_row_of_the_other_file_hides_is_unread_never_missing(tmp_path: Path) -> None:
    first = written(tmp_path / "a.csv", HEADER + "a1A,M1,x,d\na1A,m2,x,d\na1B,m3,x,d\n")
    second = written(tmp_path / "b.csv", HEADER + "a1A,m1,$,d\na1A,m2,x,d\na1B,,x,d\na1C,n,,\n")
    done = await check(first, Settings(), other=second)

    assert counts_of(done) == {"unread": 4}
    assert (done.rows, done.equal, done.exit_code) == (3, 1, 1)
    assert "may be there, in line 2, which can't be read: " in done.examples[0].reason
    assert str(tmp_path / "b.csv") in done.examples[0].reason


async def test_rows_of_the_other_file_that_contradict_each_other_are_not_equal(tmp_path: Path) -> None:
    first = written(tmp_path / "a.csv", HEADER + "a1A,m,x,d\n")
    second = written(tmp_path / "b.csv", HEADER + "a1A,m,x,d\na1A,m,x,d\na1A,M,y,d\n")
    done = await check(first, Settings(), other=second)

    assert counts_of(done) == {"unread": 1}
    assert (done.rows, done.equal, done.exit_code) == (1, 1, 1)
    assert done.examples[0].reason == f"{second}: contradicts line 2, which has other texts for the same module"


async def test_pattern_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", HEADER + "a1A,m,,\n")
    async with box_of() as box:
        with pytest.raises(InputError, match="no row of it is left") as raised:
            await check(source, settings_for(box, only=("a1a*",)), credentials=keys_of(box))

    assert raised.value.exit_code == 2
