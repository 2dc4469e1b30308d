"""The orders in which a list of jobs can be read, as they stand in a query: a field of the job, `-` for backwards."""

from enum import StrEnum


class JobSort(StrEnum):
    """Jobs that have not ended come behind all others where a list is sorted by `completedAt`, either way."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LAST_ENDED = "-completedAt"
    FIRST_ENDED = "completedAt"
    STATUS = "status"  # PENDING, RUNNING, COMPLETED, FAILED, CANCELLED; of each the newest first, either way
    STATUS_BACKWARDS = "-status"
