"""The values that the packages pass to each other: frozen, without I/O.

Values that are made for every request are named tuples; all others are dataclasses. A frozen dataclass takes twice as
long to make.

A *row* is a record of the input. A *module* is the OTA module that it asks for. A *lane* is all rows of one product. An
*outcome* is the result of a row.
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
from bulk.model.summaries import NOT_IN_JSON, ONLY_OF_A_SYNC, AccountSummary, Reason, Summary, SyncFigures
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
    "NOT_IN_JSON",
    "NO_LINE",
    "ONLY_OF_A_SYNC",
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
