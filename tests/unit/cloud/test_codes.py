"""The table of error codes and the rules around it."""

from __future__ import annotations

import pytest

from bulk.cloud.codes import TABLE, classify, code_for_status, is_about_keys
from bulk.model import Action, FailureKind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("iot.ota.CreateOTAModuleNameExist", FailureKind.EXISTS),
        ("iot.ota.CreateOTAModuleExceedLimit", FailureKind.QUOTA),
        ("iot.firmware.ModuleCountLimitExceeded", FailureKind.QUOTA),
        ("iot.ota.CreateOTAModuleFailure", FailureKind.DOUBTFUL),
        ("iot.ota.CreateOTAModuleParamError", FailureKind.REFUSED),
        ("iot.prod.NotExistedProduct", FailureKind.PRODUCT),
        ("iot.Prod.NotProductOwner", FailureKind.PRODUCT),
        ("iot.common.AuthActionPermissionDeny", FailureKind.DENIED),
        ("iot.system.SystemException", FailureKind.DOUBTFUL),
        ("Iot.system.BillIsOverDue", FailureKind.FATAL),
        ("iot.common.RamActionPermissionDeny", FailureKind.FATAL),
        ("iot.system.InstanceNotFound", FailureKind.FATAL),
        ("SignatureNonceUsed", FailureKind.DOUBTFUL),
        ("SignatureDoesNotMatch", FailureKind.FATAL),
        ("InvalidTimeStamp.Expired", FailureKind.CLOCK),
        ("Throttling.User", FailureKind.THROTTLED),
        ("Throttling.SomethingNew", FailureKind.THROTTLED),
        ("Rejected.Throttling", FailureKind.THROTTLED),
        ("InvalidSecurityToken.Expired", FailureKind.FATAL),
        ("InvalidModuleName", FailureKind.REFUSED),
    ],
)
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_code_has_its_class_in_any_letter_case(code: str, kind: FailureKind, change: type[str]) -> None:
    assert classify(Action.CREATE, change(code), 400).kind is kind


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("iot.something.New", 200, FailureKind.UNRECOGNISED),
        ("iot.something.New", 400, FailureKind.UNRECOGNISED),
        ("iot.something.New", 429, FailureKind.THROTTLED),
        ("iot.something.New", 500, FailureKind.DOUBTFUL),
        ("iot.prod.NotExistedProduct", 500, FailureKind.PRODUCT),
        ("", 500, FailureKind.DOUBTFUL),
        ("", 503, FailureKind.DOUBTFUL),
        ("", 400, FailureKind.DOUBTFUL),
        ("", 401, FailureKind.FATAL),
        ("", 403, FailureKind.FATAL),
        ("", 404, FailureKind.FATAL),
        ("", 405, FailureKind.FATAL),
        ("", 407, FailureKind.FATAL),
        ("", 408, FailureKind.DOUBTFUL),
        ("", 413, FailureKind.REFUSED),
        ("", 414, FailureKind.REFUSED),
        ("", 431, FailureKind.REFUSED),
        ("", 429, FailureKind.THROTTLED),
        ("a word of ours to come", None, FailureKind.DOUBTFUL),
    ],
)
def test_status_decides_where_the_code_is_not_known(code: str, status: int | None, kind: FailureKind) -> None:
    assert classify(Action.CREATE, code, status).kind is kind


def test_whatever_stops_a_run_says_what_to_do() -> None:
    statuses = [classify(Action.CREATE, "", status) for status in range(400, 500)]

    fatal = [
        verdict for verdict in [*TABLE.values(), *statuses] if verdict.kind in {FailureKind.FATAL, FailureKind.CLOCK}
    ]
    assert fatal
    assert all(verdict.remedy and verdict.remedy.endswith(".") for verdict in fatal)


def test_reply_without_code_is_named_by_its_status() -> None:
    assert code_for_status(502) == "http_502"


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Action.CREATE, FailureKind.REFUSED),
        (Action.UPDATE, FailureKind.GONE),
        (Action.DELETE, FailureKind.GONE),
        (Action.LIST, FailureKind.REFUSED),
        (None, FailureKind.REFUSED),
    ],
)
def test_a_module_that_is_not_there_is_gone_for_an_update_and_a_delete(
    action: Action | None, kind: FailureKind
) -> None:
    assert classify(action, "iot.ota.OTAModuleNotExist", 200).kind is kind


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_write_without_an_answer_of_the_platform_is_in_doubt_whatever_it_asks_for(
    action: Action, status: int | None
) -> None:
    assert classify(action, "", status).kind is FailureKind.DOUBTFUL


@pytest.mark.parametrize(
    "code",
    ["Forbidden", "Forbidden.RAM", "Forbidden.SomethingNew", "NoPermission", "NotAuthorized", "ActionUnauthorized"],
)
@pytest.mark.parametrize("action", [action for action in Action if action.permission])
def test_key_without_the_right_to_an_action_is_told_which_one_it_lacks(code: str, action: Action) -> None:
    verdict = classify(action, code, 403)

    assert verdict.kind is FailureKind.FATAL
    assert verdict.permission == f"iot:{action}"
    assert verdict.remedy is not None
    assert f"iot:{action}" in verdict.remedy
    assert not is_about_keys(code)


def test_right_to_create_and_list_is_asked_for_together_as_no_run_does_without_both() -> None:
    remedies = {classify(action, "Forbidden.RAM", 403).remedy for action in (Action.CREATE, Action.LIST)}

    assert len(remedies) == 1
    assert all(f"iot:{action}" in str(remedies) for action in (Action.CREATE, Action.LIST))


@pytest.mark.parametrize(
    "code",
    ["InvalidAccessKeyId.NotFound", "Forbidden.RiskControl", "Forbidden.UserVerification", "SignatureDoesNotMatch"],
)
def test_what_is_about_the_key_or_the_account_names_no_permission(code: str) -> None:
    verdict = classify(Action.DELETE, code, 403)

    assert (verdict.kind, verdict.permission) == (FailureKind.FATAL, None)


def test_nobody_needs_a_right_to_ask_who_he_is() -> None:
    verdict = classify(Action.IDENTIFY, "Forbidden", 403)

    assert (verdict.kind, verdict.permission) == (FailureKind.FATAL, None)
    assert verdict.remedy


def test_module_that_holds_a_package_is_told_from_other_refusals_of_a_delete() -> None:
    verdict = classify(Action.DELETE, "iot.ota.DeleteOTAModulePackageExist", 200)

    assert verdict.kind is FailureKind.HELD
    assert "package" in str(verdict.remedy)
