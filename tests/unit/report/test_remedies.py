from __future__ import annotations

import pytest

from bulk.model import Outcome, Reason
from bulk.report.html.content import SHOWN_OUTCOMES
from bulk.report.remedies import remedy


def reason(outcome: Outcome, code: str | None = None) -> Reason:
    return Reason(outcome, code, 1, 2, None)


def test_failed_rows_get_the_remedy_of_their_code() -> None:
    assert remedy(reason(Outcome.FAILED, "iot.prod.NotExistedProduct")).startswith("Check the ProductKey")


@pytest.mark.parametrize("code", [None, "iot.ota.CreateOTAModuleParamError", "never.seen"])
def test_failed_rows_whose_code_has_no_remedy_are_tried_again(code: str | None) -> None:
    assert remedy(reason(Outcome.FAILED, code)).startswith("Run again")


@pytest.mark.parametrize("outcome", sorted(SHOWN_OUTCOMES))
def test_every_outcome_that_is_listed_says_what_to_do(outcome: Outcome) -> None:
    assert remedy(reason(outcome)).endswith(".")


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INVALID, Outcome.PENDING])
def test_product_without_a_target_is_to_be_mapped_whatever_became_of_the_row(outcome: Outcome) -> None:
    assert remedy(reason(outcome, "product_key.unmapped")).startswith("Give the product a line in the map")
