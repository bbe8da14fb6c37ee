from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.model import AccountNames, ReadRows
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.model import InputFound

NAMES = AccountNames(("prod-cn", "prod-sg", "test"))
ONLY_TEST = AccountNames(NAMES.known, of_all="test")


def read(
    folder: Path, content: str, name: str = "m.csv", *, accounts: AccountNames | None = NAMES, **settings: Any
) -> tuple[ReadRows, InputFound]:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    with open_input(str(path), ReadSettings(**settings), accounts=accounts) as reader:
        rows = ReadRows()
        for batch in reader.batches():
            rows.valid.extend(batch.valid)
            rows.invalid.extend(batch.invalid)
            rows.accounts.extend(batch.accounts)
        return rows, reader.found


def whose(rows: ReadRows) -> dict[str, str]:
    """Return the account of each valid row, by its ModuleName."""
    return {row[2]: account for row, account in zip(rows.valid, rows.accounts, strict=True)}


def invalid(rows: ReadRows) -> list[tuple[int, str, str | None]]:
    return [(line, code, account) for line, _, code, _, account in rows.invalid]


def lines_of(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


@pytest.mark.parametrize(
    "column",
    ["Account", "account", "ACCOUNT ", "account_name", "Account Name*", "账号", "账户名称", "Account/账号"],
)
def test_the_column_is_found_in_any_spelling(tmp_path: Path, column: str) -> None:
    rows, found = read(tmp_path, f"{column},ProductKey,ModuleName\nprod-cn,p1,a\ntest,p1,b\n")

    assert whose(rows) == {"a": "prod-cn", "b": "test"}
    assert found.accounts_column
    assert found.columns["Account"] == column


def test_the_column_may_be_mapped_by_name_or_by_number(tmp_path: Path) -> None:
    content = "ProductKey,ModuleName,Owner\np1,a,test\n"

    for column in ("Owner", "3"):
        rows, _ = read(tmp_path, content, columns={"account": column})
        assert whose(rows) == {"a": "test"}


def test_the_column_of_tsv_and_jsonl_is_read_too(tmp_path: Path) -> None:
    tsv, _ = read(tmp_path, "ProductKey\tModuleName\tAccount\np1\ta\ttest\n", "m.tsv")
    objects = lines_of(
        {"ProductKey": "p1", "ModuleName": "a", "account": "test"},
        {"Account": "prod-cn", "ProductKey": "p1", "ModuleName": "b"},
    )
    jsonl, found = read(tmp_path, objects, "m.jsonl")

    assert whose(tsv) == {"a": "test"}
    assert whose(jsonl) == {"a": "test", "b": "prod-cn"}
    assert found.accounts_column


def test_a_file_without_header_has_its_fields_around_the_mapped_column(tmp_path: Path) -> None:
    last, _ = read(tmp_path, "p1,a,x,y,test\n", no_header=True, columns={"Account": "5"})
    first, _ = read(tmp_path, "test,p1,a,x,y\n", no_header=True, columns={"Account": "1"})

    assert whose(last) == whose(first) == {"a": "test"}
    assert [row[1:5] for row in last.valid] == [row[1:5] for row in first.valid] == [("p1", "a", "x", "y")]


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_white_space_and_a_spreadsheets_formula_around_a_name_are_no_part_of_it(tmp_path: Path, name: str) -> None:
    if name == "m.csv":
        content = 'ProductKey,ModuleName,Account\np1,a, test \np1,b,"=""prod-cn"""\n'
    else:
        content = lines_of(
            {"ProductKey": "p1", "ModuleName": "a", "Account": " test "},
            {"ProductKey": "p1", "ModuleName": "b", "Account": '="prod-cn"'},
        )

    rows, _ = read(tmp_path, content, name)

    assert whose(rows) == {"a": "test", "b": "prod-cn"}


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        ("prod-c", "account.unknown", "did you mean 'prod-cn'?"),
        ("PROD-CN", "account.unknown", "did you mean 'prod-cn'?"),
        ("zebra", "account.unknown", "the accounts are 'prod-cn', 'prod-sg', 'test'"),
        ("", "account.blank", "the accounts are 'prod-cn', 'prod-sg', 'test'"),
        ("  ", "account.blank", "the accounts are"),
        ("N/A", "account.unknown", "is not in the settings"),
    ],
)
@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_an_unknown_or_blank_account_is_invalid_and_the_nearest_is_named(
    tmp_path: Path, name: str, written: str, code: str, said: str
) -> None:
    if name == "m.csv":
        content = f"ProductKey,ModuleName,Account\np1,a,test\np1,b,{written}\n"
    else:
        content = lines_of(
            {"ProductKey": "p1", "ModuleName": "a", "Account": "test"},
            {"ProductKey": "p1", "ModuleName": "b", "Account": written},
        )

    rows, _ = read(tmp_path, content, name)

    assert whose(rows) == {"a": "test"}
    assert [(found, account) for _, found, account in invalid(rows)] == [(code, None)]
    assert said in rows.invalid[0][3]


def test_a_text_that_stands_for_nothing_is_a_blank_account(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "ProductKey,ModuleName,Account\np1,a,N/A\n", null_texts=("N/A",))

    assert invalid(rows) == [(2, "account.blank", None)]


def test_a_row_that_ends_before_the_column_is_blank(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "ProductKey,ModuleName,Account\np1,a\np1,b,test\n")

    assert invalid(rows) == [(2, "account.blank", None)]


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "account.blank"), (7, "account.unknown"), (["test"], "account.type"), (True, "account.type")],
)
def test_an_account_of_jsonl_that_is_no_known_text_is_invalid(tmp_path: Path, value: object, code: str) -> None:
    content = lines_of(
        {"ProductKey": "p1", "ModuleName": "a", "Account": "test"},
        {"ProductKey": "p1", "ModuleName": "b", "Account": value},
        {"ProductKey": "p1", "ModuleName": "c"},
    )

    rows, _ = read(tmp_path, content, "m.jsonl")

    assert whose(rows) == {"a": "test"}
    assert invalid(rows) == [(2, code, None), (3, "account.blank", None)]


def test_a_digit_name_of_jsonl_may_be_a_number(tmp_path: Path) -> None:
    content = lines_of({"ProductKey": "p1", "ModuleName": "a", "Account": 1234567890})

    rows, _ = read(tmp_path, content, "m.jsonl", accounts=AccountNames(("1234567890",)))

    assert whose(rows) == {"a": "1234567890"}


def test_a_row_that_is_wrong_otherwise_is_still_its_accounts(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "ProductKey,ModuleName,Account\np1,a b,test\np1,c d,nobody\np1,e,test,surplus,x\n")

    assert invalid(rows) == [
        (2, "module_name.characters", "test"),
        (3, "account.unknown", None),
        (4, "record.width", None),
    ]
    assert "ModuleName holds" in rows.invalid[1][3]


@pytest.mark.parametrize("content", ["ProductKey,ModuleName\np1,a\n", "ProductKey,ModuleName,Note\np1,a,x\n"])
def test_an_input_without_the_column_is_refused_unless_one_account_is_tried(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"no column for Account, .*'prod-cn', 'prod-sg', 'test'.*--account NAME"):
        read(tmp_path, content)

    rows, found = read(tmp_path, content, accounts=ONLY_TEST)

    assert whose(rows) == {"a": "test"}
    assert not found.accounts_column


def test_an_input_of_jsonl_without_the_column_is_refused_unless_one_account_is_tried(tmp_path: Path) -> None:
    content = lines_of({"ProductKey": "p1", "ModuleName": "a"})
    with pytest.raises(InputError, match="no column for Account"):
        read(tmp_path, content, "m.jsonl")

    rows, _ = read(tmp_path, content + "no JSON\n", "m.jsonl", accounts=ONLY_TEST)

    assert whose(rows) == {"a": "test"}
    assert invalid(rows) == [(2, "record.json", "test")]


def test_an_object_that_names_another_account_than_all_is_not_sent_to_the_wrong_one(tmp_path: Path) -> None:
    """Nothing of the beginning of a file tells that a later line has a key of its own."""
    many = [{"ProductKey": "p1", "ModuleName": f"m{number}", "Desc": "x" * 90} for number in range(5_000)]
    content = lines_of(*many, {"ProductKey": "p1", "ModuleName": "other", "Account": "prod-sg"})

    rows, _ = read(tmp_path, content, "m.jsonl", accounts=ONLY_TEST)

    assert whose(rows)["other"] == "prod-sg"
    assert whose(rows)["m4999"] == "test"


def test_no_header_and_no_column_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"add --map Account=COLUMN, or, if all rows are of one account, --account"):
        read(tmp_path, "p1,a\n", no_header=True)

    rows, _ = read(tmp_path, "p1,a,test\n", no_header=True, columns={"Account": "3"})
    assert whose(rows) == {"a": "test"}


def test_a_column_that_only_looks_like_it_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'Acount' looks like Account; to use it add --map Account=Acount; to keep it"
    ):
        read(tmp_path, "ProductKey,ModuleName,Acount\np1,a,test\n")

    rows, found = read(tmp_path, "ProductKey,ModuleName,Acount\np1,a,x\n", accounts=ONLY_TEST, columns={"Account": ""})
    assert whose(rows) == {"a": "test"}
    assert found.carried == ("Acount",)


def test_two_columns_for_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'Account' and '账号' both mean Account"):
        read(tmp_path, "ProductKey,ModuleName,Account,账号\np1,a,test,test\n")


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_without_names_in_the_settings_the_column_is_carried_and_a_notice_says_so(tmp_path: Path, name: str) -> None:
    if name == "m.csv":
        content = "ProductKey,ModuleName,Account\np1,a,\np1,b,nobody\n"
    else:
        content = lines_of(
            {"ProductKey": "p1", "ModuleName": "a", "Account": None},
            {"ProductKey": "p1", "ModuleName": "b", "Account": "nobody"},
        )

    rows, found = read(tmp_path, content, name, accounts=None)

    assert [row[2] for row in rows.valid] == ["a", "b"]
    assert rows.accounts == []
    assert found.carried == ("Account",)
    assert not found.accounts_column
    unused = [notice for notice in found.notices if notice.startswith("Not used: 'Account'")]
    assert len(unused) == 1
    assert "[accounts.NAME]" in unused[0]


@pytest.mark.parametrize("column", ["Owner", "3"])
def test_a_mapped_column_is_carried_with_the_same_notice(tmp_path: Path, column: str) -> None:
    content = "ProductKey,ModuleName,Owner\np1,a,x\n"

    _, found = read(tmp_path, content, accounts=None, columns={"Account": column})

    assert found.carried == ("Owner",)
    assert [notice for notice in found.notices if notice.startswith("Not used: 'Owner'")]


def test_no_such_notice_is_given_without_the_column_or_where_it_is_used(tmp_path: Path) -> None:
    _, without = read(tmp_path, "ProductKey,ModuleName,Note\np1,a,x\n", accounts=None)
    _, used = read(tmp_path, "ProductKey,ModuleName,Account\np1,a,test\n")

    assert not [notice for found in (without, used) for notice in found.notices if "Not used" in notice]


def test_the_record_keeps_the_column_as_it_was(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, 'Account,ProductKey,ModuleName\n" test ",p1,a\nwho,p1,b\n')

    assert [json.loads(row[5])[0] for row in rows.valid] == [" test "]
    assert [json.loads(row[1])[0] for row in rows.invalid] == ["who"]


def test_the_header_again_in_another_spelling_of_the_column_is_the_header_again(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "ProductKey,ModuleName,Account\np1,a,test\nProductKey,ModuleName,账号\np1,b,test\n")

    assert whose(rows) == {"a": "test", "b": "test"}
    assert invalid(rows) == [(3, "record.header", None)]


def test_a_header_whose_account_is_elsewhere_begins_rows_that_cant_be_trusted(tmp_path: Path) -> None:
    header, other = "ProductKey,ModuleName,Account,Note", "ProductKey,ModuleName,Note,Account"

    rows, _ = read(tmp_path, f"{header}\np1,a,test,\n{other}\np1,b,,\n")

    assert whose(rows) == {"a": "test"}
    assert [code for _, code, _ in invalid(rows)] == ["record.other_header"] * 2
