"""Where a command's output goes: never onto its ledger, its input or another of its outputs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import click

    from bulk.settings import Settings

__all__ = [
    "STDOUT",
    "check_apply_destinations",
    "check_destinations",
    "check_inputs_are_kept",
    "check_run_destinations",
    "writable",
]

STDOUT = Path("-")

_STDIN = "-"
_LEDGER_SUFFIXES = ("-wal", "-shm", ".lock", ".cloud.jsonl")
_DEFAULT_LEDGERS = (".ledger.db", ".sandbox.db")


def check_run_destinations(ctx: click.Context, input_name: str, settings: Settings) -> None:
    """Refuse to write over what a run or a plan needs.

    Args:
        ctx: Context of a command with ``log_options``, with or without ``metrics_option`` or ``--output``.
        input_name: Path of the input; ``-`` for stdin.
        settings: They say which ledger.

    Raises:
        SettingsError: An output is the ledger, a file that belongs to it, or the input; or two outputs are one file.
    """
    if outputs := _outputs(ctx):
        from bulk.engine.sessions.connect import ledger_path  # noqa: PLC0415 - `--help` need not wait for the HTTP client

        inputs = [Path(name) for name in (input_name, settings.product_map) if name and name != _STDIN]
        _check(outputs, ledger_path(input_name, settings), inputs)


def check_apply_destinations(ctx: click.Context, plan: Path, ledger: Path, input_name: str) -> None:
    """Refuse to write over the plan to apply, or over what it needs.

    Args:
        ctx: As of ``check_run_destinations()``.
        plan: The plan's path.
        ledger: The ledger that the plan names.
        input_name: The input that the plan names.

    Raises:
        SettingsError: As of ``check_run_destinations()``.
    """
    for option, path in _outputs(ctx).items():
        check_inputs_are_kept(option, path, [str(plan)])
    _check(_outputs(ctx), ledger, [Path(input_name)])


def check_destinations(outputs: Mapping[str, Path | None], *, ledger: Path) -> None:
    """Refuse to write over the ledger to read, or over the input that it recorded.

    Args:
        outputs: Option → the file that it names, if it is given.
        ledger: An existing one.

    Raises:
        SettingsError: As for ``check_run_destinations()``.
        LedgerError: There is no such ledger, or it can't be read.
    """
    from bulk.ledger.views.reading import read_input_name  # noqa: PLC0415 - `--help` need not wait for SQLite

    name = read_input_name(ledger)
    # The ledger keeps the name as UTF-8. If the system uses another encoding, the file's name has other characters.
    known = None if name is None or name == _STDIN else os.fsdecode(name.encode())
    _check(outputs, ledger, [] if known is None else list(_places(known, ledger)))


def check_inputs_are_kept(option: str, path: Path, inputs: Iterable[str]) -> None:
    """Refuse to write over an input.

    Args:
        option: Option that names the output.
        path: The output.
        inputs: As the user named them.

    Raises:
        SettingsError: The output is one of them.
    """
    if any(_is_same(path, Path(source)) for source in inputs if source != _STDIN):
        raise SettingsError(f"{path} is an input; name another file with {option}")


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say what to do if an output can't be written.

    Raises:
        SettingsError: It can't.
    """
    try:
        yield
    except OSError as exc:
        raise SettingsError(f"{path}: it can't be written ({explain_os_error(exc)}); name another file") from exc


def _outputs(ctx: click.Context) -> dict[str, Path]:
    options = {"--log-file": "log_file", "--metrics-file": "metrics_file", "-o": "output"}
    return {option: Path(ctx.params[name]) for option, name in options.items() if ctx.params.get(name)}


def _check(outputs: Mapping[str, Path | None], ledger: Path, inputs: list[Path]) -> None:
    written = {option: path for option, path in outputs.items() if path is not None and path != STDOUT}
    for option, path in written.items():
        for what, taken in (*_ledger_files(ledger), *(("the input", each) for each in inputs)):
            if _is_same(path, taken):
                raise SettingsError(f"{path} is {what}; name another file with {option}")
    for (first, path), (second, other) in combinations(written.items(), 2):
        if _is_same(path, other):
            raise SettingsError(f"{first} and {second} name the same file, {path}: name another one with {second}")


def _ledger_files(ledger: Path) -> Iterator[tuple[str, Path]]:
    yield "the ledger itself", ledger
    # SQLite keeps its files beside the real ledger. The lock and a sandbox's state are beside the name as given.
    for base in {str(ledger), os.path.realpath(ledger)}:
        for suffix in _LEDGER_SUFFIXES:
            yield "a file of the ledger", Path(f"{base}{suffix}")


def _places(name: str, ledger: Path) -> Iterator[Path]:
    """Yield the paths that an input's name may mean: the folder in which it was given is not known."""
    yield from (Path(name), ledger.parent / name)
    for suffix in _DEFAULT_LEDGERS:
        beside = ledger.with_name(ledger.name.removesuffix(suffix))
        if beside != ledger and beside.name == Path(name).name:
            yield beside


def _is_same(path: Path, other: Path) -> bool:
    try:
        # Two outputs may share a terminal or /dev/null.
        return path.samefile(other) and path.is_file()
    except FileNotFoundError:
        return os.path.realpath(path) == os.path.realpath(other)
    except OSError:
        return False  # it can't be examined, so it can't be written either: that has its own message
