"""The enums of what can be built. Their numbers are part of the promise to old clients."""

from enum import IntEnum

# Steps are put in order by small numbers of one's choice.
ORDER_MAX = 32_767


class ProjectStatus(IntEnum):
    UNKNOWN = 0
    ACTIVE = 1
    INACTIVE = 2


class PlanStatus(IntEnum):
    INACTIVE = 0
    ACTIVE = 1


class RepositoryBackend(IntEnum):
    UNKNOWN = 0
    GIT = 1
    HG = 2


class RepositoryStatus(IntEnum):
    INACTIVE = 0
    ACTIVE = 1
    IMPORTING = 2
