"""What schedulers and agents of the original may say; what they say besides is left out."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from changes.builds.original.told import CommandTold, StepTold, read_metrics
from changes.web import params
from changes.web.params import OptionalText, Parameters

Status = Literal["queued", "in_progress", "finished"]
Outcome = Literal["passed", "failed", "infra_failed", "aborted", "skipped"]
NODE_MAX = 1024
IDS_MAX = 1000


def no_text_is_none(value: Any) -> Any:
    return None if value == "" else value


OptionalStatus = Annotated[Status | None, BeforeValidator(no_text_is_none)]
OptionalNumber = Annotated[int | None, BeforeValidator(no_text_is_none), Field(ge=-(2**31), lt=2**31)]
Offset = Annotated[int | None, BeforeValidator(no_text_is_none), Field(ge=0, lt=2**62)]


class StepSaid(Parameters):
    status: OptionalStatus = None
    result: Annotated[Outcome | None, BeforeValidator(no_text_is_none)] = None
    # With the line break that `hostname -f` ends with.
    node: Annotated[str, Field(max_length=NODE_MAX)] = ""
    metrics: OptionalText = None

    def read(self) -> StepTold:
        return StepTold(self.status, self.result, self.node, read_metrics(self.metrics))


class CommandSaid(Parameters):
    status: OptionalStatus = None
    return_code: OptionalNumber = None
    output: str | None = None

    def read(self) -> CommandTold:
        return CommandTold(self.status, self.return_code, self.output)


class StepIds(Parameters):
    jobstep_ids: Annotated[list[str] | None, BeforeValidator(params.as_list), Field(max_length=IDS_MAX)] = (
        None
    )
    cluster: OptionalText = None


class LogSaid(Parameters):
    source: Annotated[str, Field(min_length=1)]
    text: str
    offset: Offset = None


class FileSaid(Parameters):
    name: str
    file: bytes


class ImageSaid(Parameters):
    status: Annotated[str, Field(max_length=32)] = ""


class BucketSaid(Parameters):
    id: str = ""
    owner: str = ""


class ArtifactSaid(Parameters):
    name: str = ""
    chunked: bool = False
    size: Annotated[int | None, Field(lt=2**62)] = None
    deadline_min: Annotated[int, Field(alias="deadlineMins", ge=0, lt=2**31)] = 0
    relative_path: Annotated[str, Field(alias="relativePath")] = ""


class PieceSaid(Parameters):
    byteoffset: Offset = None
    size: Offset = None
    # As base64, or the deprecated plain text.
    bytes: str | None = None
    content: str | None = None
