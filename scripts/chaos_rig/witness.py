"""A witness inside PostgreSQL: which node claims a host, and who writes what is for its owner alone.

Most harm of a commit that no fence stops is mended behind it: by the state that a move insists on, by the index, by a look
at the rows. So machines may never notice that a node went on writing to a host that it had lost. The database does: a node
connects under its name, and triggers compare it, in the very transaction, with the name that made the last claim. What is
rolled back leaves no trace, and was none.
"""

from contextlib import closing

import msgspec

from chaos_rig.errors import RigFailed
from chaos_rig.final import Trespass
from interlock.states import LIVE
from store import open_database
from store.rows import HOST_OWNED

_NEW, _OLD = (", ".join(f"{row}.{name}" for name in HOST_OWNED) for row in ("NEW", "OLD"))
_LIVE = ", ".join(f"'{status}'" for status in sorted(LIVE))

TRIGGERS = f"""
CREATE TABLE rig_claim (host text PRIMARY KEY, node text NOT NULL);

CREATE TABLE rig_trespass (
    host text NOT NULL, node text NOT NULL, owner text NOT NULL, what text NOT NULL, at timestamptz DEFAULT now()
);

CREATE FUNCTION rig_look(host_id text, what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    me text := current_setting('application_name');
    owner text := coalesce((SELECT node FROM rig_claim WHERE host = host_id), 'nobody');
BEGIN
    IF owner <> me THEN
        INSERT INTO rig_trespass VALUES (host_id, me, owner, what);
    END IF;
END $$;

CREATE FUNCTION rig_host() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.owner, NEW.epoch) IS DISTINCT FROM (OLD.owner, OLD.epoch) THEN
        INSERT INTO rig_claim
        VALUES (NEW.id, CASE WHEN NEW.owner IS NULL THEN 'nobody' ELSE current_setting('application_name') END)
        ON CONFLICT (host) DO UPDATE SET node = EXCLUDED.node;
    ELSIF ({_NEW}) IS DISTINCT FROM ({_OLD}) THEN
        PERFORM rig_look(NEW.id, 'wrote the host''s row');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION rig_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND (NEW.status IN ({_LIVE}) OR OLD.status IN ({_LIVE})) THEN
        PERFORM rig_look(coalesce(NEW.host_id, OLD.host_id), 'let run ' || NEW.id || ' be ' || NEW.status);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER rig_host AFTER UPDATE ON host FOR EACH ROW EXECUTE FUNCTION rig_host();

CREATE TRIGGER rig_run AFTER UPDATE ON job_run FOR EACH ROW EXECUTE FUNCTION rig_run();
"""  # noqa: S608 - our own words


def called(url: str, node: str) -> str:
    """The database's URL for a node that is to be known there by that name."""
    return f"{url}{'&' if '?' in url else '?'}application_name={node}"


def trespasses(url: str) -> list[Trespass]:
    """What the witness has seen, in its order; nothing where there is none. `RigFailed` when it has slept."""
    if not url.startswith("postgresql"):
        return []
    database = open_database(url)
    with closing(database):
        if not database.execute_sql("SELECT count(*) FROM rig_claim").fetchone()[0]:
            raise RigFailed("The witness in the database has seen no host being claimed")
        columns = "host, node, owner, what, (extract(epoch FROM at) * 1000)::bigint"
        found = database.execute_sql(f"SELECT {columns} FROM rig_trespass ORDER BY at")  # noqa: S608 - our own words
        return msgspec.convert(found.fetchall(), list[Trespass])
