from __future__ import annotations

import ast
import re
from pathlib import Path

import orjson
import pytest

from bulk.cli.commands.sync import sync
from bulk.errors import KeysUnavailableError
from bulk.exits import ExitCode

ROOT = Path(__file__).parents[2]
CODES = {code.value for code in ExitCode}


def test_codes_are_those_that_schedulers_know() -> None:
    assert list(ExitCode) == [0, 1, 2, 3, 4, 5, 6, 130, 143]


def test_code_is_a_number_wherever_it_is_written() -> None:
    assert f"{ExitCode.STOPPED} {ExitCode.STOPPED!r} {orjson.dumps(ExitCode.STOPPED).decode()}" == "3 3 3"


@pytest.mark.parametrize("code", ExitCode)
def test_codes_above_128_are_by_a_signal(code: ExitCode) -> None:
    assert code.is_by_signal == (code > 128)


def test_every_code_is_in_the_readme_and_in_the_help() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    in_readme = re.findall(r"^\| ([\d, ]+) \|", readme, re.MULTILINE)
    in_help = re.findall(r"^ +(\d[\d, ]*)  ", (sync.epilog or "").partition("Exit codes:")[2], re.MULTILINE)

    for rows in (in_readme, in_help):
        assert [int(code) for row in rows for code in row.split(",")] == list(ExitCode)


def _numbers_of(node: ast.AST) -> list[ast.expr]:
    """Return what a piece of code returns, or gives as an exit code."""
    match node:
        case ast.Call(keywords=keywords):
            return [each.value for each in keywords if each.arg == "exit_code"]
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if "exit" in name.lower():
            return [value]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if "exit" in name.lower():
            return [value]
        case ast.FunctionDef(name=name, body=body) if "exit_code" in name:
            return [
                each.value for piece in body for each in ast.walk(piece) if isinstance(each, ast.Return) and each.value
            ]
    return []


def test_no_code_is_written_as_a_number() -> None:
    found = [
        f"{path.name}:{value.lineno}"
        for path in (ROOT / "bulk").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for value in _numbers_of(node)
        for each in ast.walk(value)
        if isinstance(each, ast.Constant) and type(each.value) is int and each.value in CODES
    ]

    assert found == []


def test_an_error_with_its_settings_named_otherwise_ends_a_command_as_before() -> None:
    error = KeysUnavailableError("{0}: the source does not answer", "profile").by_names(lambda field: f"--{field}")

    assert (str(error), error.exit_code) == ("--profile: the source does not answer", ExitCode.STOPPED)
