"""The people of an organization, and what each may do there. An organization always has an owner."""

from typing import NamedTuple

from peewee import Database

from interlock.clock import Millis
from interlock.errors import InvalidState, NotFound
from store.accounts import By, add_member, audit
from store.locks import hold_org
from store.models import Membership, User


class MemberRow(NamedTuple):
    """A user in an org; `id` is the user's."""

    id: str
    email: str
    name: str
    role: str
    created_at: Millis


_COLUMNS = (User.id, User.email, User.name, Membership.role, Membership.created_at)


def members_page(database: Database, org_id: str, after: str, limit: int) -> list[MemberRow]:
    """Up to `limit` members of the org behind that user's id, oldest accounts first."""
    query = User.select(*_COLUMNS).join(Membership, on=(Membership.user_id == User.id))
    query = query.where((Membership.org_id == org_id) & (User.id > after)).order_by(User.id).limit(limit)
    return [MemberRow(*row) for row in query.tuples().execute(database)]


def member_of(database: Database, org_id: str, user_id: str) -> MemberRow | None:
    """One member of the org."""
    query = User.select(*_COLUMNS).join(Membership, on=(Membership.user_id == User.id))
    query = query.where((Membership.org_id == org_id) & (User.id == user_id))
    return next((MemberRow(*row) for row in query.tuples().execute(database)), None)


def share_an_org(database: Database, one: str, other: str) -> bool:
    """Whether two users are members of the same org somewhere; so each may be shown the other's name."""
    orgs = Membership.select(Membership.org_id).where(Membership.user_id == one)
    query = Membership.select(Membership.id).where((Membership.user_id == other) & Membership.org_id.in_(orgs)).limit(1)
    return bool(list(query.tuples().execute(database)))


def let_in(database: Database, membership_id: str, org_id: str, user_id: str, role: str, by: By) -> None:
    """The account becomes a member; `InvalidState` when it is one already."""
    hold_org(database, org_id)
    present = member_of(database, org_id, user_id)
    if present is not None:
        raise InvalidState("The account is a member already", current={"userId": user_id, "role": present.role})
    add_member(database, membership_id, org_id, user_id, role, by)


def change_role(database: Database, org_id: str, user_id: str, role: str, by: By) -> MemberRow:
    """The member with that role; `InvalidState` when that would leave the org without an owner."""
    present = _held(database, org_id, user_id)
    if present.role == role:
        return present
    _keep_an_owner(database, org_id, present)
    Membership.update(role=role).where(_is(org_id, user_id)).execute(database)
    audit(database, by, org_id, "member.update", ("user", user_id), {"role": role, "was": present.role})
    return present._replace(role=role)


def remove_member(database: Database, org_id: str, user_id: str, by: By) -> None:
    """The account is no member any more; `InvalidState` for the last owner."""
    present = _held(database, org_id, user_id)
    _keep_an_owner(database, org_id, present)
    Membership.delete().where(_is(org_id, user_id)).execute(database)
    audit(database, by, org_id, "member.remove", ("user", user_id), {"was": present.role})


def _held(database: Database, org_id: str, user_id: str) -> MemberRow:
    hold_org(database, org_id)
    present = member_of(database, org_id, user_id)
    if present is None:
        raise NotFound("No such member")
    return present


def _keep_an_owner(database: Database, org_id: str, leaves: MemberRow) -> None:
    owners = Membership.select(Membership.id).where((Membership.org_id == org_id) & (Membership.role == "owner"))
    if leaves.role == "owner" and len(owners.limit(2).tuples().execute(database)) < 2:  # noqa: PLR2004 - one would stay
        current = {"userId": leaves.id, "role": leaves.role}
        raise InvalidState("This is the organization's last owner: make somebody else one first", current=current)


def _is(org_id: str, user_id: str) -> object:
    return (Membership.org_id == org_id) & (Membership.user_id == user_id)
