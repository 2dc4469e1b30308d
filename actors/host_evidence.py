"""Evidence: what a job has already is not stored again, by whichever attempt or request it comes."""

from actors.decision import Decision
from actors.hidden import masked_item
from actors.host_state import HostState
from actors.messages import EvidenceItem, RefusedItem
from actors.ports import Effect
from interlock.wire import EvidenceAnswer, EvidenceEvent, EvidenceVerdict, RunState
from store.evidence import EvidenceStored
from store.rows import JobRow, RunRow


def keep_items(
    state: HostState,
    job: JobRow,
    run: RunRow,
    items: tuple[EvidenceItem | RefusedItem, ...],
    stored: EvidenceStored,
    d: Decision,
) -> list[EvidenceVerdict]:
    """Store what is new and within the job's quota; a verdict for each item, in order.

    `stored` was read behind all that this actor had decided. Should another host add the very same at the same moment,
    for a pool job that has moved there, the database keeps the first.
    """
    quota = _Quota(state, stored)
    verdicts: list[EvidenceVerdict] = []
    known = dict(stored.ids)
    for item in items:
        if isinstance(item, RefusedItem):
            verdicts.append(EvidenceVerdict(verdict="rejected", message=item.why))
        elif item.hash in known:
            verdicts.append(EvidenceVerdict(verdict="duplicate", id=known[item.hash]))
        elif (why := quota.exceeded_by(item)) is not None:
            verdicts.append(EvidenceVerdict(verdict="rejected", message=why))
        else:
            known[item.hash] = new_id = d.ids.new()
            _append(job, run, new_id, masked_item(job, item), d)
            verdicts.append(EvidenceVerdict(verdict="created", id=new_id))
    created = len(known) - len(stored.ids)
    if created:
        d.effects.append(Effect("evidence.added", EvidenceEvent(job_id=job.id, job_run_id=run.id, created=created)))
    return verdicts


def answer(run: RunState, verdicts: list[EvidenceVerdict]) -> EvidenceAnswer:
    """The run's state with the verdicts, counted."""
    said = [each.verdict for each in verdicts]
    return EvidenceAnswer(
        status=run.status,
        cancel_requested=run.cancel_requested,
        needs_user_action=run.needs_user_action,
        created=said.count("created"),
        duplicates=said.count("duplicate"),
        rejected=said.count("rejected"),
        items=verdicts,
    )


class _Quota:
    """What a job may have."""

    def __init__(self, state: HostState, stored: EvidenceStored) -> None:
        self._limits = state.limits
        self._items, self._bytes = stored.items, stored.size_bytes

    def exceeded_by(self, item: EvidenceItem) -> str | None:
        """Why the item is too much; None when it is not, and it counts from now on."""
        most, most_bytes = self._limits.max_evidence_per_job, self._limits.max_evidence_bytes_per_job
        if most and self._items >= most:
            return f"A job may have {most} items of evidence"
        if most_bytes and self._bytes + item.size_bytes > most_bytes:
            return f"A job may have {most_bytes} bytes of evidence"
        self._items += 1
        self._bytes += item.size_bytes
        return None


def _append(job: JobRow, run: RunRow, new_id: str, item: EvidenceItem, d: Decision) -> None:
    collected_at = d.now if item.collected_at is None else item.collected_at
    about = (new_id, job.org_id, job.id, run.id, item.hash, item.size_bytes, d.now, collected_at)
    d.append("evidence", *about, item.type, item.confidence, item.source, item.title, item.url, item.snippet)
