from __future__ import annotations

from bulk.control.reasons import WHY_KEPT, WHY_WITHHELD, kept_words, withheld_words
from bulk.control.reconcile import Kept, Withheld


def test_every_reason_has_words() -> None:
    assert set(WHY_WITHHELD) == set(Withheld)
    assert set(WHY_KEPT) == set(Kept)


def test_reason_of_another_version_is_shown_as_it_is_stored() -> None:
    assert withheld_words("max_moons") == "max moons"
    assert kept_words("iot.ota.OTAModuleHasPackage") == "iot.ota.OTAModuleHasPackage"
    assert (kept_words("package"), withheld_words("fewer_rows")) == (
        WHY_KEPT[Kept.PACKAGE],
        WHY_WITHHELD[Withheld.FEWER_ROWS],
    )
