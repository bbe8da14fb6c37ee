"""How this process was called: to print the command that goes on, and to report failures before options are read."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.shell import shell_join

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Invocation"]

_SECRET_ENDINGS = ("_ACCESS_KEY_SECRET", "_SECURITY_TOKEN")
"""Endings of variables that hold secrets: the official ones, and those that an account's ``key_env`` names."""

_SYNC_FLAGS = frozenset({"--prune", "--adopt", "--detailed-exitcode", "--sync"})
_SYNC_OPTIONS_WITH_VALUE = frozenset(
    {"--max-updates", "--max-deletes", "--prune-product", "--only", "--limit", "--account", "--ledger"}
    | {"--output", "-o"}
)
"""Options that the plan file already contains, and the one that says where `bulk plan` wrote it."""

_PLATFORM_FLAGS = frozenset({"--sandbox", "--insecure-http", "--lenient-alias", "--lenient-keys"})
_PLATFORM_OPTIONS_WITH_VALUE = frozenset(
    {"--endpoint", "--region", "--dialect", "--instance-id", "--profile", "--settings", "--settings-profile"}
    | {"--qps", "--list-qps"}
)
"""Options that say where requests go, who signs them, how fast they are sent and which texts may be sent."""

_NOT_OF_A_PLAN = frozenset({"--detailed-exitcode", "--sync", "--json"})
_NOT_OF_A_WHOLE_PLAN = frozenset({"--metrics-file", "--only", "--limit", "--output", "-o"})
"""Options with a value that `bulk plan` does not have, or that would leave products out or write elsewhere."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command line as it was typed."""

    program: tuple[str, ...]
    """What starts the program again, such as ``("bulk",)``."""

    arguments: tuple[str, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values of the environment that must not be shown."""

    @classmethod
    def here(cls, arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Invocation:
        """Return how this process was called.

        Args:
            arguments: Used instead of those of this process.
            environ: ``os.environ``, or its substitute in tests.
        """
        secrets = tuple(value for name, value in environ.items() if value and name.endswith(_SECRET_ENDINGS))
        return cls(_program(sys.argv[0]), tuple(sys.argv[1:] if arguments is None else arguments), secrets)

    @property
    def again(self) -> str:
        """The same command line, quoted for a shell."""
        return shell_join([*self.program, *self.arguments])

    def again_without(self, options: Collection[str]) -> str:
        """Return the same command line without these options and their values.

        Args:
            options: Long names of options that take one value each, such as ``--limit``.
        """
        return shell_join([*self.program, *self._without(options)])

    def _without(self, options: Collection[str]) -> list[str]:
        kept: list[str] = []
        rest = iter(self.arguments)
        for argument in rest:
            if argument in options:
                next(rest, None)
            elif argument.partition("=")[0] not in options:
                kept.append(argument)
        return kept

    def again_with(self, option: str, values: Sequence[str], *, without: Collection[str] = ()) -> str:
        """Return the command line with an option once for each of these values, which replace its earlier ones.

        Args:
            option: Long name of an option that takes one value each, such as ``--account``.
            values: The option's values.
            without: Other options to leave out, with their values.
        """
        kept = self._without({option, *without})
        # Directly after the command: after `--` nothing is an option.
        behind = kept.index(self.command) + 1 if self.command in kept else 0
        given = [word for value in values for word in _spelled(option, value)]
        return shell_join([*self.program, *kept[:behind], *given, *kept[behind:]])

    def approving(self, plan: str, input_name: str) -> str:
        """Return the command line that applies a plan, with the same input and platform as the sync that wrote it.

        Args:
            plan: The plan's path.
            input_name: The input, as it was named on the command line.
        """
        kept: list[str] = []
        rest = iter(self.arguments)
        replaced = {self.command: "apply", input_name: plan}
        for argument in rest:
            if argument in replaced:
                kept.append(replaced.pop(argument))
            elif argument in _SYNC_OPTIONS_WITH_VALUE:
                next(rest, None)
            elif argument not in _SYNC_FLAGS and not _is_of_a_sync(argument):
                kept.append(argument)
        return shell_join([*self.program, *kept])

    def accepting(self, plan: str, input_name: str) -> tuple[str, str]:
        """Return the command lines that write a plan of the whole input of a sync, and that apply it.

        Args:
            plan: Where to write the plan.
            input_name: The input, as it was named on the command line.
        """
        kept = [word for word in self._without(_NOT_OF_A_WHOLE_PLAN) if word not in _NOT_OF_A_PLAN and word[:2] != "-o"]
        behind = kept.index(self.command) if self.command in kept else 0
        words = ["plan", "--sync", *_spelled("--output", plan)]
        return shell_join([*self.program, *kept[:behind], *words, *kept[behind + 1 :]]), self.approving(
            plan, input_name
        )

    @property
    def platform(self) -> tuple[str, ...]:
        """The options that name the platform: what another command needs to reach the same one."""
        kept: list[str] = []
        rest = iter(self.arguments)
        for argument in rest:
            name = argument.partition("=")[0]
            if argument in _PLATFORM_OPTIONS_WITH_VALUE:
                kept += [argument, *([value] if (value := next(rest, None)) is not None else [])]
            elif argument in _PLATFORM_FLAGS or name in _PLATFORM_OPTIONS_WITH_VALUE:
                kept.append(argument)
        return tuple(kept)

    @property
    def command(self) -> str | None:
        """The command's name, if one was given."""
        return next((argument for argument in self.arguments if not argument.startswith("-")), None)

    @property
    def wants_json(self) -> bool:
        """Whether stdout must get one JSON object, even after a failure."""
        return "--json" in self.arguments

    @property
    def is_verbose(self) -> bool:
        """Whether the user wants to see more than a message."""
        return bool({"-v", "-vv", "--verbose"} & set(self.arguments))


def _is_of_a_sync(argument: str) -> bool:
    """Say whether an argument is a sync's option and its value in one word."""
    short = argument.startswith("-") and not argument.startswith("--") and argument[:2] in _SYNC_OPTIONS_WITH_VALUE
    return short or argument.partition("=")[0] in _SYNC_OPTIONS_WITH_VALUE


def _spelled(option: str, value: str) -> tuple[str, ...]:
    return (f"{option}={value}",) if value.startswith("-") else (option, value)


def _program(started: str) -> tuple[str, ...]:
    """Return the shortest words that start the same program from the same folder."""
    if Path(started).name == "__main__.py":
        return _known("python", sys.executable), "-m", "bulk"
    return (_known("bulk", started),)


def _known(name: str, path: str) -> str:
    found = shutil.which(name)
    try:
        is_found = bool(found) and Path(found or "").absolute() == Path(path).absolute()
    except OSError:
        is_found = False  # the working folder was removed: only an absolute path still works
    return name if is_found else path
