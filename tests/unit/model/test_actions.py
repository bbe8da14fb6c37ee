"""Each action has its words, and knows whether it writes."""

from __future__ import annotations

from bulk.model import Action, ChangeKind


def test_what_carries_out_a_change_is_what_writes() -> None:
    assert {action for action in Action if action.is_change} == {kind.action for kind in ChangeKind}


def test_every_action_has_words_of_its_own() -> None:
    assert len({action.figure for action in Action}) == len({action.noun for action in Action}) == len(Action)
    assert all(Action(action.value) is action for action in Action)
