"""What people type for hosts, instances, jobs and organizations: an id, the beginning of one, or a name."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from interlock.client import Client
from interlock.errors import InvalidRequest, NotFound
from interlock.ids import HostId, InstanceId, JobId, OrgId, is_id

SHORTEST = 8  # characters of an id's beginning: those of a job say when it was made, to about a minute
_MOST_SHOWN = 5
_LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"  # the greatest id
_BEGINNING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?", re.ASCII)


class Known(NamedTuple):
    """Something with an id and a name."""

    id: str
    name: str


def host_id(client: Client, org: OrgId, text: str) -> HostId:
    """The host that `text` means; refusals as of `pick`."""
    if is_id(text):
        return text
    return pick("host", text, (Known(each.id, each.name) for each in client.hosts.list(org)))


def instance_id(client: Client, org: OrgId, text: str) -> InstanceId:
    """The server instance that `text` means; refusals as of `pick`."""
    if is_id(text):
        return text
    return pick("server instance", text, (Known(each.id, each.name) for each in client.instances.list(org)))


def org_id(client: Client, text: str | None) -> OrgId:
    """The organization that `text` means, or the only one of whoever asks."""
    if text is not None and is_id(text):
        return text
    known = [Known(each.id, each.name) for each in client.orgs.list()]
    if text is not None:
        return pick("organization", text, known)
    if len(known) == 1:
        return known[0].id
    if not known:
        raise NotFound("This account is in no organization")
    raise InvalidRequest(f"Which organization? Pass --org or set INTERLOCK_ORG: {_listed(known)}")


def job_id(client: Client, org: OrgId, text: str) -> JobId:
    """The job that `text` means: an id, or the beginning of one."""
    if is_id(text):
        return text
    lowered = text.lower()
    if not _BEGINNING.fullmatch(lowered):
        raise NotFound(f"{text!r} is no job's id: that is like 0198f3c2-…, of which {SHORTEST} characters are enough")
    # Lists of jobs are newest first, which is by id, and go on behind the id that is their cursor.
    page = client.jobs.page(org, limit=_MOST_SHOWN + 1, cursor=lowered + _LAST[len(lowered) :])
    found = [Known(job.id, job.type) for job in page.items if job.id.startswith(lowered)]
    return pick("job", lowered, found)


def pick(what: str, text: str, things: Iterable[Known]) -> str:
    """The id of the one thing that is called so, or whose id or name begins so.

    `NotFound` with the nearest names when there is none, `InvalidRequest` when there are several.
    """
    known = list(things)
    exact = [each for each in known if text in {each.id, each.name}]
    begins = exact or [each for each in known if each.name.startswith(text) or _begins(each.id, text)]
    if len(begins) == 1:
        return begins[0].id
    if begins:
        raise InvalidRequest(f"More than one {what} is meant by {text!r}: {_listed(begins)}")
    raise NotFound(f"There is no {what} {text!r}{nearest(text, [each.name for each in known])}")


def nearest(text: str, names: Iterable[str]) -> str:
    """`. Did you mean …?` with the names that are written nearly like `text`; nothing when none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    close = get_close_matches(text, list(names), n=3)
    return f". Did you mean {' or '.join(close)}?" if close else ""


def _begins(whole: str, text: str) -> bool:
    return len(text) >= SHORTEST and whole.startswith(text.lower())


def _listed(known: list[Known]) -> str:
    shown = ", ".join(f"{each.id} ({each.name})" for each in known[:_MOST_SHOWN])
    return f"{shown} …" if len(known) > _MOST_SHOWN else shown
