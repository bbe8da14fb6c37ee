"""The values that the rooms hand to each other: frozen, without I/O.

What is made anew for every request is a named tuple, all else a dataclass: a frozen one takes twice as long to make.

The words are the design's: a *row* is a record of the input, a *module* the OTA module that it asks for,
a *lane* all rows of one product, an *outcome* what became of a row.
"""

from __future__ import annotations

from bulk.model.actions import Action, ChangeKind
from bulk.model.catalogue import Identity, Package, Packages, Page, Product
from bulk.model.inputs import AccountNames, InputFound, InvalidRow, ReadRows, ValidRow
from bulk.model.outcomes import (
    OPEN_OUTCOMES,
    PROVISIONED_OUTCOMES,
    REASONED_OUTCOMES,
    ROW_OUTCOMES,
    TRIED_AGAIN_OUTCOMES,
    Outcome,
    Trait,
)
from bulk.model.summaries import AccountSummary, Reason, Summary, SyncFigures
from bulk.model.values import (
    MAX_CUSTOM_MODULES,
    NO_LINE,
    RESERVED_MODULE_NAME,
    Accepted,
    Attempt,
    Change,
    Dialect,
    Failure,
    FailureKind,
    Lane,
    Listing,
    OtaModule,
    Row,
    Settlement,
    Target,
)

__all__ = [
    "MAX_CUSTOM_MODULES",
    "NO_LINE",
    "OPEN_OUTCOMES",
    "PROVISIONED_OUTCOMES",
    "REASONED_OUTCOMES",
    "RESERVED_MODULE_NAME",
    "ROW_OUTCOMES",
    "TRIED_AGAIN_OUTCOMES",
    "Accepted",
    "AccountNames",
    "AccountSummary",
    "Action",
    "Attempt",
    "Change",
    "ChangeKind",
    "Dialect",
    "Failure",
    "FailureKind",
    "Identity",
    "InputFound",
    "InvalidRow",
    "Lane",
    "Listing",
    "OtaModule",
    "Outcome",
    "Package",
    "Packages",
    "Page",
    "Product",
    "ReadRows",
    "Reason",
    "Row",
    "Settlement",
    "Summary",
    "SyncFigures",
    "Target",
    "Trait",
    "ValidRow",
]
