"""Hosts, keys, instances and organizations as rows, on every database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from peewee import Database

from interlock.errors import InvalidRequest, InvalidState, NotFound, PreconditionFailed
from interlock.states import RunStatus
from store import accounts, fleet, open_database
from store.accounts import By
from store.audit_trail import AuditFilter, audit_page
from store.database import how_to_begin
from store.models import AuditEvent, Host, ServerInstance
from tests.support.rows import host_row, job_row, new_id, run_row, write_host, write_job, write_run


def by(at: int = 1) -> By:
    return By("user", "u", at, new_id(), "request", "127.0.0.1")


@pytest.fixture
def host_id(database: Database) -> str:
    """A host of the org, with a key."""
    made = new_id()
    accounts.create_host(database, made, "org", "eu", by(), labels={"b": "2", "a": "1"})
    accounts.create_key(database, new_id(), "org", made, by())
    return made


def a_run(database: Database, host_id: str, status: RunStatus) -> str:
    """A job whose run on the host has that status; the run's id."""
    job = job_row(host_id=host_id)
    run = run_row(job, status=status, finished_at=1 if status is RunStatus.SUCCESS else None)
    write_job(database, job)
    write_run(database, run)
    return run.id


def transaction(database: Database) -> Any:
    return database.atomic(*how_to_begin(database))


def test_a_host_is_seen_with_its_line_and_its_slot(database: Database, host_id: str) -> None:
    for status in (RunStatus.PENDING, RunStatus.PENDING, RunStatus.SCHEDULED, RunStatus.SUCCESS):
        a_run(database, host_id, status)
    sight = fleet.host_sight(database, "org", host_id)
    assert sight is not None
    assert (sight.pending, sight.live_run_id, sight.live_status) == (2, None, None)
    live = a_run(database, host_id, RunStatus.UNREACHABLE)
    sight = fleet.host_sight(database, "org", host_id)
    assert sight is not None
    assert (sight.host.id, sight.pending, sight.live_run_id, sight.live_status) == (host_id, 2, live, "unreachable")


def test_hosts_come_page_by_page_and_of_one_org(database: Database) -> None:
    made = [host_row(org_id=org) for org in ("org", "org", "other", "org")]
    for host in made:
        write_host(database, host)
    ours = [made[0].id, made[1].id, made[3].id]
    first = fleet.hosts_page(database, "org", "", 2)
    assert [sight.host.id for sight in first] == ours[:2]
    assert [sight.host.id for sight in fleet.hosts_page(database, "org", ours[1], 2)] == ours[2:]
    assert fleet.hosts_page(database, "org", ours[2], 2) == []


def test_a_host_of_another_org_is_none(database: Database, host_id: str) -> None:
    assert fleet.host_sight(database, "other", host_id) is None
    with pytest.raises(NotFound), transaction(database):
        fleet.change_host(database, "other", host_id, {"paused": True}, by(), {})
    with pytest.raises(NotFound), transaction(database):
        fleet.delete_host(database, "other", host_id, by())
    assert Host.select().where(Host.paused).count(database) == 0


def test_a_change_counts_as_a_commit_on_the_host_and_is_in_the_audit_trail(database: Database, host_id: str) -> None:
    with transaction(database):
        fleet.change_host(database, "org", host_id, {"paused": True, "note": "disk"}, by(), {"paused": True})
    ((paused, note, rev),) = (
        Host.select(Host.paused, Host.note, Host.rev).where(Host.id == host_id).tuples().execute(database)
    )
    assert (bool(paused), note, rev) == (True, "disk", 1)
    (line,) = AuditEvent.select().where(AuditEvent.action == "host.update").execute(database)
    assert (line.target_id, line.actor_id, line.request_id, line.address) == (host_id, "u", "request", "127.0.0.1")
    assert msgspec.json.decode(line.detail) == {"paused": True, "was": {"paused": False}}


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.SCHEDULED, RunStatus.RUNNING])
def test_a_host_with_an_open_run_is_not_deleted(database: Database, host_id: str, status: RunStatus) -> None:
    a_run(database, host_id, status)
    with transaction(database):
        assert fleet.delete_host(database, "org", host_id, by()) is None
    assert fleet.host_sight(database, "org", host_id) is not None
    assert [key.revoked_at for key in fleet.keys_of(database, "org", host_id)] == [None]
    assert len(fleet.open_jobs_of(database, host_id, 10)) == 1


def test_a_deleted_host_takes_its_instances_along_and_its_keys_are_revoked(database: Database, host_id: str) -> None:
    a_run(database, host_id, RunStatus.SUCCESS)
    accounts.create_instance(database, new_id(), "org", host_id, "dust", by())
    (key,) = fleet.keys_of(database, "org", host_id)
    with transaction(database):
        assert fleet.delete_host(database, "org", host_id, by(7)) == [key.kid]
    assert fleet.host_sight(database, "org", host_id) is None
    assert ServerInstance.select().count(database) == 0
    assert [key.revoked_at for key in fleet.keys_of(database, "org", host_id)] == [7]


def test_two_keys_of_a_host_hold_at_most(database: Database, host_id: str) -> None:
    (first,) = fleet.keys_of(database, "org", host_id)
    with transaction(database):
        fleet.add_key(database, new_id(), "org", host_id, by())
    with pytest.raises(InvalidState), transaction(database):
        fleet.add_key(database, new_id(), "org", host_id, by())
    with transaction(database):
        fleet.revoke_key(database, first.kid, "org", host_id, by(5))
    with transaction(database):
        fleet.revoke_key(database, first.kid, "org", host_id, by(6))
        fleet.add_key(database, new_id(), "org", host_id, by())
    assert [key.revoked_at for key in fleet.keys_of(database, "org", host_id)] == [5, None, None]
    assert AuditEvent.select().where(AuditEvent.action == "key.revoke").count(database) == 1


def test_of_many_keys_that_are_asked_for_at_once_one_comes(url: str, database: Database, host_id: str) -> None:
    ready = threading.Barrier(4)

    def go(_: int) -> bool:
        own = open_database(url)
        with own.connection_context():
            ready.wait()
            try:
                with transaction(own):
                    fleet.add_key(own, new_id(), "org", host_id, by())
            except InvalidState:
                return False
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(go, range(4))) == 1
    assert len(fleet.keys_of(database, "org", host_id)) == 2


def test_a_key_of_another_host_or_org_is_not_found(database: Database, host_id: str) -> None:
    (key,) = fleet.keys_of(database, "org", host_id)
    other = host_row()
    write_host(database, other)
    for org_id, at in (("other", host_id), ("org", other.id), ("org", new_id())):
        with pytest.raises(NotFound), transaction(database):
            fleet.revoke_key(database, key.kid, org_id, at, by())
    assert fleet.keys_of(database, "org", host_id) == [key]


def test_instances_come_page_by_page_of_one_org_or_host(database: Database, host_id: str) -> None:
    other = host_row()
    write_host(database, other)
    made = [new_id() for _ in range(3)]
    for instance_id, at in zip(made, (host_id, other.id, host_id), strict=True):
        accounts.create_instance(database, instance_id, "org", at, "dust", by(), config='{"slots":12}')
    assert [row.id for row in fleet.instances_page(database, "org", "", 2)] == made[:2]
    assert [row.id for row in fleet.instances_page(database, "org", made[1], 2)] == made[2:]
    assert [row.id for row in fleet.instances_page(database, "org", "", 9, host_id)] == [made[0], made[2]]
    assert fleet.instances_page(database, "other", "", 9) == []
    row = fleet.instance_of(database, "org", made[0])
    assert row is not None
    assert (row.name, row.host_id, row.config) == ("dust", host_id, '{"slots":12}')
    assert fleet.instance_of(database, "other", made[0]) is None


def test_orgs_come_with_the_users_role(database: Database) -> None:
    user_id, orgs = new_id(), sorted(new_id() for _ in range(3))
    for org_id, role in zip(orgs, ("viewer", "admin", "owner"), strict=True):
        accounts.create_org(database, org_id, "acme", by())
        accounts.add_member(database, new_id(), org_id, user_id, role, by())
    assert [(row.id, row.role) for row in fleet.orgs_page(database, user_id, "", 2)] == [
        (orgs[0], "viewer"),
        (orgs[1], "admin"),
    ]
    assert [row.id for row in fleet.orgs_page(database, user_id, orgs[1], 2)] == orgs[2:]
    assert fleet.orgs_page(database, new_id(), "", 9) == []


def test_one_org_gets_another_name_and_the_audit_trail_says_what_it_was(database: Database) -> None:
    user_id, orgs = new_id(), [new_id(), new_id()]
    for org_id in orgs:
        accounts.create_org(database, org_id, "acme", by())
        accounts.add_member(database, new_id(), org_id, user_id, "owner", by())
    with transaction(database):
        assert fleet.rename_org(database, orgs[0], "Arcade", by())
        assert not fleet.rename_org(database, orgs[0], "Arcade", by())
    assert {row.id: row.name for row in fleet.orgs_page(database, user_id, "", 9)} == {
        orgs[0]: "Arcade",
        orgs[1]: "acme",
    }
    (line,) = AuditEvent.select().where(AuditEvent.action == "org.update").execute(database)
    assert (line.org_id, line.target_kind, line.target_id, line.actor_id) == (orgs[0], "org", orgs[0], "u")
    assert msgspec.json.decode(line.detail) == {"name": "Arcade", "was": {"name": "acme"}}


def test_labels_are_kept_in_one_order(database: Database, host_id: str) -> None:
    sight = fleet.host_sight(database, "org", host_id)
    assert sight is not None
    assert sight.host.labels == '{"a":"1","b":"2"}'


@pytest.mark.parametrize("labels", [{"": "a"}, {"a" * 101: ""}, {"a": "b" * 201}, {"a\n": ""}, {"a": "\x7f"}])
def test_labels_that_cannot_be_shown_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        accounts.label_text(labels)


def test_a_kind_that_there_is_not_is_refused(database: Database) -> None:
    with pytest.raises(InvalidRequest):
        accounts.create_host(database, new_id(), "org", "eu", by(), kind="toaster")


def an_instance(database: Database, host_id: str) -> fleet.InstanceRow:
    instance_id = new_id()
    accounts.create_instance(database, instance_id, "org", host_id, "dust", by())
    row = fleet.instance_of(database, "org", instance_id)
    assert row is not None
    return row


def test_an_instance_moves_while_no_job_about_it_is_open(database: Database, host_id: str) -> None:
    other, instance = host_row(), an_instance(database, host_id)
    write_host(database, other)
    beside, about = job_row(host_id=host_id), job_row(host_id=host_id, server_instance_id=instance.id)
    write_job(database, beside)
    write_run(database, run_row(beside))
    with transaction(database):
        moved = fleet.change_instance(database, instance, {"host_id": other.id}, by(), {})
        assert moved == instance._replace(host_id=other.id)
        assert fleet.change_instance(database, instance, {"name": "a"}, by(), {}) is None  # it is not as it was read
        assert fleet.change_instance(database, moved, {"host_id": host_id}, by(), {}) == instance
    write_job(database, about)
    write_run(database, run_row(about))
    with transaction(database):
        assert fleet.open_jobs_of(database, host_id, 9, instance.id) == [about.id]
        assert fleet.change_instance(database, instance, {"host_id": other.id}, by(), {}) is None
        assert fleet.delete_instance(database, instance, by()) is None
        named = fleet.change_instance(database, instance, {"name": "inferno"}, by(), {})
    assert named == instance._replace(name="inferno") == fleet.instance_of(database, "org", instance.id)


def test_an_instance_does_not_move_to_another_orgs_host(database: Database, host_id: str) -> None:
    other, instance = host_row(org_id="other"), an_instance(database, host_id)
    write_host(database, other)
    for to in (other.id, new_id()):
        with pytest.raises(NotFound), transaction(database):
            fleet.change_instance(database, instance, {"host_id": to}, by(), {})


def test_a_deleted_instance_is_gone(database: Database, host_id: str) -> None:
    instance = an_instance(database, host_id)
    with transaction(database):
        assert fleet.delete_instance(database, instance, by()) is True
        assert fleet.delete_instance(database, instance, by()) is None
    assert fleet.instance_of(database, "org", instance.id) is None


def test_the_audit_trail_is_read_newest_first_and_narrowed(database: Database, host_id: str) -> None:
    accounts.create_host(database, new_id(), "other", "eu", by())
    lines = audit_page(database, "org", AuditFilter(), "", 9)
    assert [line.action for line in lines] == ["key.create", "host.create"]
    assert [line.action for line in audit_page(database, "org", AuditFilter(), lines[0].id, 9)] == ["host.create"]
    for narrow in (AuditFilter(action="key.create"), AuditFilter("key.create", "u", host_id)):
        assert audit_page(database, "org", narrow, "", 9) == lines[:1]
    assert audit_page(database, "org", AuditFilter(actor_id="nobody"), "", 9) == []
    assert lines == audit_page(database, "org", AuditFilter(target_id=host_id), "", 9)


def mark_of(database: Database, host_id: str) -> str:
    sight = fleet.host_sight(database, "org", host_id)
    assert sight is not None
    return fleet.settings_mark(sight.host)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "us"},
        {"labels": "{}"},
        {"paused": True},
        {"note": "disk"},
        {"paused_until": 5},
        {"draining": True},
        {"drain_until": 5},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_hosts_mark_changes_with_what_people_set(database: Database, host_id: str, values: dict[str, Any]) -> None:
    before = mark_of(database, host_id)
    with transaction(database):
        fleet.change_host(database, "org", host_id, values, by(), {}, expected={before, "other"})
    assert mark_of(database, host_id) != before
    with pytest.raises(PreconditionFailed), transaction(database):
        fleet.change_host(database, "org", host_id, {"name": "late"}, by(), {}, expected={before})
    with pytest.raises(PreconditionFailed), transaction(database):
        fleet.delete_host(database, "org", host_id, by(), {before})
    sight = fleet.host_sight(database, "org", host_id)
    assert sight is not None
    assert sight.host.name != "late"


def test_a_hosts_mark_stays_while_its_agent_and_its_jobs_move(database: Database, host_id: str) -> None:
    before = mark_of(database, host_id)
    a_run(database, host_id, RunStatus.RUNNING)
    Host.update(last_seen_at=9, run_no=3, instance_id="i", awaiting_idle=True, unhealthy="x", rev=7).execute(database)
    assert mark_of(database, host_id) == before


def test_of_two_changes_that_expect_the_same_mark_one_is_written(url: str, database: Database, host_id: str) -> None:
    before, others = mark_of(database, host_id), [open_database(url) for _ in range(4)]

    def edit(other: Database) -> bool:
        try:
            with other.connection_context(), transaction(other):
                fleet.change_host(other, "org", host_id, {"note": new_id()}, by(), {}, expected={before})
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(len(others)) as threads:
        assert sorted(threads.map(edit, others)) == [False, False, False, True]
