"""Settings of a run: one frozen value, checked as a whole. It contains no secrets: see `cloud.credentials`."""

from __future__ import annotations

from bulk.settings.account import AccountSettings
from bulk.settings.job import ReadSettings, Settings
from bulk.settings.values import FailureCap, parse_delimiter, parse_duration

__all__ = ["AccountSettings", "FailureCap", "ReadSettings", "Settings", "parse_delimiter", "parse_duration"]
