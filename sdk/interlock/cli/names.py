"""What people type for hosts, instances, jobs and organizations: an id, the beginning or the end of one, or a name."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from interlock.client import Client
from interlock.errors import InvalidRequest, NotFound
from interlock.ids import HostId, InstanceId, JobId, OrgId, is_id

SHORTEST = 8  # characters of an id's beginning or end: the first of a job say when it was made, to about a minute
LEFT_OUT = "…"  # stands before an id's end, as the dashboard shows it
_MOST_SHOWN = 5
_MOST_SEARCHED = 1000  # jobs, the newest, in which an id's end is looked for: no list goes by that
_LARGEST_PAGE = 200
_LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"  # the greatest id
_BEGINNING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?", re.ASCII)
_END = re.compile(r"[0-9a-f-]{8,35}", re.ASCII)


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
    """The job that `text` means: an id, the beginning of one, or the end of one of the newest."""
    if is_id(text):
        return text
    lowered = text.lower()
    end = lowered.removeprefix(LEFT_OUT)
    if not _END.fullmatch(end):
        enough = f"of which the first or the last {SHORTEST} characters are enough"
        raise NotFound(f"{text!r} is no job's id: that is like 0198f3c2-…, {enough}")
    found = _jobs_beginning(client, org, lowered) if _BEGINNING.fullmatch(lowered) else []
    return pick("job", lowered, found or _jobs_ending(client, org, end))


def _jobs_beginning(client: Client, org: OrgId, beginning: str) -> list[Known]:
    # Lists of jobs are newest first, which is by id, and go on behind the id that is their cursor.
    page = client.jobs.page(org, limit=_MOST_SHOWN + 1, cursor=beginning + _LAST[len(beginning) :])
    return [Known(job.id, job.type) for job in page.items if job.id.startswith(beginning)]


def _jobs_ending(client: Client, org: OrgId, end: str) -> list[Known]:
    newest = islice(client.jobs.list(org, page_size=_LARGEST_PAGE), _MOST_SEARCHED)
    return [Known(job.id, job.type) for job in newest if job.id.endswith(end)]


def pick(what: str, text: str, things: Iterable[Known]) -> str:
    """The id of the one thing that is called so, whose id or name begins so, or whose id ends so.

    `NotFound` with the nearest names when there is none, `InvalidRequest` when there are several.
    """
    known = list(things)
    exact = [each for each in known if text in {each.id, each.name}]
    fits = exact or [each for each in known if each.name.startswith(text) or _fits(each.id, text.lower())]
    if len(fits) == 1:
        return fits[0].id
    if fits:
        raise InvalidRequest(f"More than one {what} is meant by {text!r}: {_listed(fits)}")
    raise NotFound(f"There is no {what} {text!r}{nearest(text, [each.name for each in known])}")


def nearest(text: str, names: Iterable[str]) -> str:
    """`. Did you mean …?` with the names that are written nearly like `text`; nothing when none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake pays for it

    close = get_close_matches(text, list(names), n=3)
    return f". Did you mean {' or '.join(close)}?" if close else ""


def _fits(whole: str, text: str) -> bool:
    """Whether the id begins or ends so."""
    end = text.removeprefix(LEFT_OUT)
    return len(end) >= SHORTEST and (whole.startswith(text) or whole.endswith(end))


def _listed(known: list[Known]) -> str:
    shown = ", ".join(f"{each.id} ({each.name})" for each in known[:_MOST_SHOWN])
    return f"{shown} …" if len(known) > _MOST_SHOWN else shown
