"""Every bound and interval of the actors, with unit and default. `runtime/settings.py` fills them in."""

import msgspec

SECOND = 1000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in ms. The defaults are those of SEMANTICS: what a field is for stands there and in `docs/settings.md`."""

    heartbeat_ms: int = 15 * SECOND  # how often agents are asked to heartbeat
    lease_ms: int = 60 * SECOND  # an agent that heartbeats is unreachable after this long without a word
    lost_after_ms: int = 300 * SECOND  # an unreachable run is lost after this long
    offline_after_ms: int = 45 * SECOND  # a host without connection is shown offline after this long
    ack_ms: int = 30 * SECOND  # what an agent has to accept a job that was pushed to it
    unacked_offers: int = 3  # offers in a row without an answer that make a host unhealthy
    max_offers: int = 5  # of one run: then it has failed as undeliverable
    cancel_grace_ms: int = 10 * SECOND  # what the agent gives a process between SIGTERM and SIGKILL
    cancel_slack_ms: int = 20 * SECOND  # what the server waits beyond that before it ends the run itself
    timeout_ms: int = 600 * SECOND  # a run's time unless its job or type says otherwise
    startup_grace_ms: int = 300 * SECOND  # after a cold start nothing live ends through time alone for this long
    poll_wait_max_ms: int = 50 * SECOND  # the longest long-poll
    poll_wait_ms: int = 25 * SECOND  # what agents are asked to wait
    passivate_after_ms: int = 60 * SECOND  # a host actor with nothing to do is dropped from memory after this long
    claim_retry_ms: int = 1 * SECOND  # before a host whose rows could not be read is tried again
    max_attempts: int = 3
    mailbox: int = 10_000  # messages that may wait at one actor
    max_pending_per_host: int = 0  # waiting jobs of one host; 0: no limit
    max_pending_per_org: int = 0  # waiting jobs of one org; 0: no limit
    pool_window: int = 1024  # waiting pool jobs of one org with the same labels that are kept in memory
    pool_lanes: int = 1000  # sets of labels under which pool jobs of one org may wait and be found
    pool_hints: int = 100  # waiting pool jobs of which an idle host's socket may have been told
    claims_per_batch: int = 200  # hosts claimed in one transaction
    alternations: int = 3  # changes of process within a minute that make a host unhealthy: a cloned key
    max_evidence_per_job: int = 10_000  # items; 0: no limit
    max_evidence_bytes_per_job: int = 64 * 2**20  # 0: no limit
    max_log_lines: int = 100_000  # of one run; its log ends there, and says so
    max_log_bytes: int = 32 * 2**20
