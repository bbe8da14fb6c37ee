"""How `bulk doctor` shows what it found: each check above its remedy; of many accounts, only those in trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.engine.checks.diagnosis import Check, Verdict
from bulk.engine.checks.together import listed
from bulk.report.tones import Tone
from bulk.report.wording import filled, spell_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.engine.checks.doctor import Examination
    from bulk.report.tones import Paint

__all__ = ["account_lines", "check_lines"]

_WORDS = {"passed": ("ok", Tone.GOOD), "warned": ("look", Tone.WARNING), "failed": ("FAILED", Tone.BAD)}
_NOT_TRIED = ("-", Tone.HEADING)
_VERDICT_COLUMNS = 7
_NAME_COLUMNS = 9
_FEWEST_COLUMNS = 20

_SHOWN_WHOLE = 5
"""Most accounts that are shown with all their checks."""

_GRAVEST_FIRST = (Verdict.FAILED, Verdict.WARNED)


def account_lines(found: Examination, *, width: int, paint: Paint) -> Iterator[str]:
    """Yield what was found in a job with accounts: those in trouble first, then what concerns all.

    Args:
        found: What was found.
        width: Columns of the screen.
        paint: Adds colours, or nothing.
    """
    if len(found.accounts) <= _SHOWN_WHOLE:
        for name in sorted(found.accounts, key=lambda name: _gravity(found.accounts[name])):
            yield paint(f"account {name}", Tone.HEADING)
            for check in found.accounts[name]:
                yield from check_lines(check, width=width, paint=paint)
            yield ""
    else:
        yield from _many(found.accounts, width=width, paint=paint)
        yield ""
    for check in found.checks:
        yield from check_lines(check, width=width, paint=paint)


def check_lines(check: Check, *, width: int, paint: Paint) -> Iterator[str]:
    """Yield a check's verdict, its name and what it found; below that, what to do."""
    word, tone = _WORDS.get(check.verdict, _NOT_TRIED)
    margin = " " * (_VERDICT_COLUMNS + _NAME_COLUMNS)
    first, *rest = [line for text in check.detail.splitlines() for line in _wrapped(text, width - len(margin))]
    yield f"{paint(f'{word:<{_VERDICT_COLUMNS}}', tone)}{check.name:<{_NAME_COLUMNS}}{first}"
    for line in rest:
        yield margin + line
    for line in _wrapped(f"→ {check.remedy}" if check.remedy else "", width - len(margin)):
        yield margin + paint(line, Tone.HEADING)


def _many(accounts: Mapping[str, Sequence[Check]], *, width: int, paint: Paint) -> Iterator[str]:
    """Yield each problem once, with all accounts that have it; then the accounts without problems."""
    for verdict in _GRAVEST_FIRST:
        troubles: dict[Check, list[str]] = {}
        for name, checks in accounts.items():
            for check in checks:
                if check.verdict is verdict:
                    troubles.setdefault(check, []).append(name)
        for check, names in sorted(troubles.items(), key=lambda trouble: -len(trouble[1])):
            told = replace(check, detail=f"{_of_accounts(names)}:\n{check.detail}")
            yield from check_lines(told, width=width, paint=paint)
    well = [name for name, checks in accounts.items() if not _gravity(checks) < len(_GRAVEST_FIRST)]
    if well:
        told = Check(
            "accounts", Verdict.PASSED, f"nothing is wrong with {spell_count(len(well), 'account')}: {listed(well)}"
        )
        yield from check_lines(told, width=width, paint=paint)


def _gravity(checks: Sequence[Check]) -> int:
    verdicts = {check.verdict for check in checks}
    return next((number for number, verdict in enumerate(_GRAVEST_FIRST) if verdict in verdicts), len(_GRAVEST_FIRST))


def _of_accounts(names: Sequence[str]) -> str:
    return f"account {names[0]}" if len(names) == 1 else f"{len(names)} accounts, {', '.join(names)}"


def _wrapped(text: str, width: int) -> list[str]:
    # Users copy addresses and paths, so they are never broken.
    indent = " " * (len(text) - len(text.lstrip()))
    rest = f"{indent}  " if indent else ""
    return filled(text, max(width, _FEWEST_COLUMNS), rest=rest, break_words=False)
