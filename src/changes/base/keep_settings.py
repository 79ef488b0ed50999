"""How long things are kept where no project says otherwise, and how full the disk may become."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from changes.base.whole_number import WholeNumber

DAYS_MAX = 36_500
Days = Annotated[int, BeforeValidator(WholeNumber(0, DAYS_MAX))]
Bytes = Annotated[int, BeforeValidator(WholeNumber(0, 2**60))]
Percent = Annotated[int, BeforeValidator(WholeNumber(0, 90))]


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", url):
        raise ValueError("must be an address of its own without a path, as in https://files.example.com")
    return url


class KeepSettings(BaseModel):
    """0 is for ever, or no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keep_builds_days: Days = 0
    keep_logs_days: Days = 365
    keep_artifacts_days: Days = 90
    keep_events_days: Days = 365
    disk_quota_bytes: Bytes = 0
    disk_free_min_bytes: Bytes = 10**9
    disk_free_min_percent: Percent = 0
    # Where pages and reports of other people are shown, apart from our own address and its cookies.
    artifact_url: Annotated[str, AfterValidator(_address)] | None = Field(None)
