"""What we need of Pykka's inner hooks, pinned; and what our actors make of them."""

import gc
import inspect
import weakref
from collections import deque
from importlib.metadata import version
from typing import Any

import pykka
import pytest
from pykka import ActorDeadError, messages
from pykka._envelope import Envelope

from actors.loop_actor import _PYKKAS, MESSAGES_PER_TURN, LoopActor, LoopFuture, LoopInbox
from interlock.errors import InvalidState, Unavailable
from tests.support.diaries import Diary, Turns, raises, started


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def diary(turns: Turns) -> Diary:
    return started(turns)


# ---- Pykka's hooks ---------------------------------------------------------------------------------------------------


class Plain(pykka.Actor):
    """The least that Pykka asks of an actor type."""

    called: list[str]

    @staticmethod
    def _create_actor_inbox() -> Any:
        return deque[Any]()

    @staticmethod
    def _create_future() -> Any:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        """Nothing runs."""

    def on_start(self) -> None:
        self.called = ["on_start"]

    def on_stop(self) -> None:
        self.called.append("on_stop")

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        del exception_type, exception_value, traceback
        self.called.append("on_failure")

    def on_receive(self, message: Any) -> Any:
        return f"did {message}"


def test_pykka_is_of_the_version_whose_hooks_we_know() -> None:
    assert tuple(map(int, version("pykka").split(".")[:2])) >= (4, 5)
    assert version("pykka").startswith("4.")


def test_pykka_keeps_three_hooks_for_implementors() -> None:
    hooks = {"_create_actor_inbox", "_create_future", "_start_actor_loop"}
    assert pykka.Actor.__abstractmethods__ == hooks
    assert all(getattr(LoopActor, hook) is not getattr(pykka.Actor, hook) for hook in hooks)


@pytest.mark.parametrize(
    ("hook", "parameters"),
    [
        ("_create_actor_inbox", []),
        ("_create_future", []),
        ("_start_actor_loop", ["self"]),
        ("_handle_receive", ["self", "message"]),
        ("_handle_failure", ["self", "exception_type", "exception_value", "traceback"]),
        ("_stop", ["self"]),
        ("_actor_loop_setup", ["self"]),
        ("_actor_loop_teardown", ["self"]),
    ],
)
def test_pykkas_inner_hooks_take_what_we_give_them(hook: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(pykka.Actor, hook)).parameters) == parameters


def test_pykkas_reference_copies_the_mailbox_and_the_stopped_flag() -> None:
    plain = Plain()
    assert plain.actor_ref.actor_inbox is plain.actor_inbox
    assert plain.actor_ref.actor_stopped is plain.actor_stopped


def test_pykkas_reference_is_weak() -> None:
    plain = Plain()
    gone, ref = weakref.ref(plain), plain.actor_ref
    del plain
    gc.collect()
    assert gone() is None
    assert ref.actor_class is Plain


def test_pykka_puts_envelopes_with_the_future_of_the_actors_class() -> None:
    plain = Plain()
    put: list[Any] = []
    plain.actor_ref.actor_inbox = type("Box", (), {"put": lambda _, envelope: put.append(envelope)})()
    plain.actor_ref.tell("a")
    future = plain.actor_ref.ask("b", block=False)
    assert [(type(each), each.message, each.reply_to) for each in put] == [
        (Envelope, "a", None),
        (Envelope, "b", future),
    ]
    assert isinstance(future, pykka.ThreadingFuture)


def test_pykkas_hooks_call_those_of_the_actor() -> None:
    plain = Plain()
    plain._actor_loop_setup()
    assert plain._handle_receive("it") == "did it"
    plain._handle_receive(messages._ActorStop())
    assert plain.called == ["on_start", "on_stop"]
    assert plain.actor_stopped.is_set()


def test_pykka_handles_these_messages_itself_and_no_others() -> None:
    kinds = {kind for kind in vars(messages).values() if inspect.isclass(kind) and kind.__module__ == messages.__name__}
    assert kinds == set(_PYKKAS)


def test_a_new_future_needs_nothing_that_pykka_would_set() -> None:
    ours, theirs = LoopFuture(), pykka.ThreadingFuture[str]()
    assert {name for name in vars(theirs) if name.startswith("_get_hook")} <= set(dir(ours))
    assert type(ours._get_hook_result) is type(theirs._get_hook_result)


def test_pykkas_handling_of_a_failure_stops_the_actor_but_leaves_on_failure_to_us() -> None:
    plain = Plain()
    plain._actor_loop_setup()
    plain._handle_failure(ValueError, ValueError("no"), None)
    assert plain.called == ["on_start"]
    assert not plain.actor_ref.is_alive()


def test_pykkas_future_has_room_for_a_get_hook() -> None:
    future = LoopFuture()
    future.set_get_hook(lambda _timeout: "hooked")
    assert future.get() == "hooked"


def test_our_reference_copies_our_mailbox_and_flag_too(diary: Diary) -> None:
    assert diary.actor_ref.actor_inbox is diary.inbox
    assert diary.actor_ref.actor_stopped is diary.actor_stopped
    assert isinstance(diary.inbox, LoopInbox)


# ---- ask, tell, and the life of an actor -------------------------------------------------------------------------------


def test_an_actor_that_is_not_started_is_a_plain_object(turns: Turns) -> None:
    diary = Diary(turns)
    diary.actor_ref.tell("waits")
    assert diary.on_receive("by hand") == "did by hand"
    assert (diary.lines, len(turns.waiting)) == (["by hand"], 0)


def test_it_starts_before_its_first_message_and_handles_messages_in_order(diary: Diary, turns: Turns) -> None:
    diary.actor_ref.tell("one")
    diary.actor_ref.tell("two")
    assert diary.lines == ["start"]
    turns.run()
    assert diary.lines == ["start", "one", "two"]


def test_what_was_sent_before_it_was_started_is_handled_when_it_is(turns: Turns) -> None:
    diary = Diary(turns)
    diary.actor_ref.tell("early")
    diary._start_actor_loop()
    turns.run()
    assert diary.lines == ["start", "early"]


def test_an_ask_is_answered_with_what_the_handler_returns(diary: Diary, turns: Turns) -> None:
    reply: Any = diary.actor_ref.ask("sum", block=False)
    assert not reply.done
    turns.run()
    assert reply.get() == "did sum"


def test_a_started_actor_stays_as_long_as_its_reference(turns: Turns) -> None:
    ref = Diary.start(turns)
    gc.collect()
    reply = ref.ask("still there", block=False)
    turns.run()
    assert reply.get() == "did still there"


def test_no_actor_is_in_pykkas_registry(diary: Diary) -> None:
    assert diary.actor_ref not in pykka.ActorRegistry.get_all()


def test_a_stopped_actor_handles_what_came_before_and_refuses_what_comes_after(diary: Diary, turns: Turns) -> None:
    before = diary.actor_ref.ask("before", block=False)
    diary.stop()
    after = diary.actor_ref.ask("after", block=False)
    turns.run()
    assert diary.lines == ["start", "before", "stop"]
    assert before.get() == "did before"
    with pytest.raises(ActorDeadError):
        after.get()
    with pytest.raises(ActorDeadError):
        diary.actor_ref.tell("later still")
    with pytest.raises(ActorDeadError):
        diary.actor_ref.ask("later still", block=False).get()


def test_messages_left_in_the_queue_after_an_actor_stops_receive_an_error(diary: Diary, turns: Turns) -> None:
    diary.stop()
    left = [diary.actor_ref.ask(number, block=False) for number in range(3 * MESSAGES_PER_TURN)]
    diary.actor_ref.tell("nobody waits for this one")
    turns.run()
    assert [type(future.error) for future in left if isinstance(future, LoopFuture)] == [ActorDeadError] * len(left)
    assert len(diary.inbox) == 0


def test_a_second_stop_behind_the_first_does_no_harm(diary: Diary, turns: Turns) -> None:
    first, second = diary.actor_ref.ask(messages._ActorStop(), block=False), diary.actor_ref.stop(block=False)
    turns.run()
    assert first.get() is None
    assert second.get() is True
    assert diary.actor_ref.stop(block=False).get() is False
    assert diary.lines == ["start", "stop"]


def test_an_on_stop_that_fails_still_stops(turns: Turns, caplog: pytest.LogCaptureFixture) -> None:
    diary = started(turns)
    diary.on_stop = raises(ValueError("cannot let go"))  # type: ignore[method-assign]
    diary.stop()
    turns.run()
    assert not diary.actor_ref.is_alive()
    assert "Unhandled exception" in caplog.text


def test_an_actor_that_cannot_start_is_dead_and_says_so(turns: Turns, caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary(turns)
    diary.on_start = raises(ValueError("cannot begin"))  # type: ignore[method-assign]
    early = diary.actor_ref.ask("early", block=False)
    diary._start_actor_loop()
    turns.run()
    assert isinstance(early, LoopFuture)
    assert isinstance(early.error, ActorDeadError)
    assert not diary.actor_ref.is_alive()
    assert "Unhandled exception" in caplog.text


# ---- failures ----------------------------------------------------------------------------------------------------------


def test_a_refusal_goes_to_the_asker_and_the_actor_lives_on(diary: Diary, turns: Turns) -> None:
    refused = diary.actor_ref.ask(raises(InvalidState("not now")), block=False)
    told = diary.actor_ref.ask("next", block=False)
    turns.run()
    with pytest.raises(InvalidState, match="not now"):
        refused.get()
    assert told.get() == "did next"


def test_a_refusal_under_tell_is_nobodys_and_the_actor_lives_on(diary: Diary, turns: Turns) -> None:
    diary.actor_ref.tell(raises(InvalidState("not now")))
    diary.actor_ref.tell("next")
    turns.run()
    assert diary.lines == ["start", "next"]


@pytest.mark.parametrize("error", [ValueError("a bug"), AssertionError("a bug"), SystemExit("a bug")])
def test_an_unexpected_exception_under_ask_drops_the_actor(diary: Diary, turns: Turns, error: BaseException) -> None:
    asked = diary.actor_ref.ask(raises(error), block=False)
    left = diary.actor_ref.ask("left", block=False)
    turns.run()
    assert isinstance(asked, LoopFuture)
    assert asked.error is error
    assert diary.lines == ["start", "failure a bug"]
    assert not diary.actor_ref.is_alive()
    with pytest.raises(ActorDeadError):
        left.get()


def test_an_unexpected_exception_under_tell_drops_the_actor(diary: Diary, turns: Turns) -> None:
    diary.actor_ref.tell(raises(ValueError("a bug")))
    diary.actor_ref.tell("left")
    turns.run()
    assert diary.lines == ["start", "failure a bug"]
    assert not diary.actor_ref.is_alive()


@pytest.mark.parametrize("error", [SystemExit("one"), KeyboardInterrupt("one"), GeneratorExit("one")])
def test_what_ends_processes_ends_one_actor_only(turns: Turns, error: BaseException) -> None:
    one, other = started(turns), started(turns)
    one.actor_ref.tell(raises(error))
    reply = other.actor_ref.ask("still here", block=False)
    turns.run()
    assert not one.actor_ref.is_alive()
    assert reply.get() == "did still here"


def test_an_on_failure_that_fails_itself_is_logged_and_no_more(
    diary: Diary, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    diary.on_failure = lambda *_: raises(ValueError("worse"))()  # type: ignore[method-assign]
    asked = diary.actor_ref.ask(raises(ValueError("a bug")), block=False)
    left = diary.actor_ref.ask("left", block=False)
    turns.run()
    assert "on_failure" in caplog.text
    with pytest.raises(ValueError, match="a bug"):
        asked.get()
    with pytest.raises(ActorDeadError):
        left.get()


# ---- replies that come later -------------------------------------------------------------------------------------------


def test_a_handler_may_reply_later(diary: Diary, turns: Turns) -> None:
    later = LoopFuture()
    asked: Any = diary.actor_ref.ask(lambda: later, block=False)
    behind: Any = diary.actor_ref.ask("behind", block=False)
    turns.run()
    assert (asked.done, behind.done) == (False, True)
    later.set("now")
    assert asked.get() == "now"


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), ValueError("a bug")])
def test_a_later_reply_may_be_an_error_and_the_actor_lives_on(diary: Diary, turns: Turns, error: Exception) -> None:
    later = LoopFuture()
    asked: Any = diary.actor_ref.ask(lambda: later, block=False)
    turns.run()
    later.set_exception((type(error), error, None))
    assert asked.error is error
    assert diary.actor_ref.is_alive()


def test_a_later_reply_that_is_there_already_is_passed_on_at_once(diary: Diary, turns: Turns) -> None:
    refused: Any = diary.actor_ref.ask(lambda: LoopFuture.of(InvalidState("no")), block=False)
    granted: Any = diary.actor_ref.ask(lambda: LoopFuture.of("yes"), block=False)
    turns.run()
    assert granted.get() == "yes"
    assert isinstance(refused.error, InvalidState)


# ---- turns -------------------------------------------------------------------------------------------------------------


def test_a_busy_actor_gives_the_loop_a_turn_after_a_bounded_number_of_messages(turns: Turns) -> None:
    busy, quiet = started(turns), started(turns)
    for number in range(3 * MESSAGES_PER_TURN):
        busy.actor_ref.tell(number)
    quiet.actor_ref.tell("me too")
    turns.turn()
    assert len(busy.lines) == 1 + MESSAGES_PER_TURN
    turns.turn()
    assert quiet.lines == ["start", "me too"]
    turns.run()
    assert busy.lines[1:] == list(range(3 * MESSAGES_PER_TURN))


def test_many_messages_ask_for_one_turn_only(diary: Diary, turns: Turns) -> None:
    for number in range(10):
        diary.actor_ref.tell(number)
    assert len(turns.waiting) == 1


def test_a_message_that_an_actor_sends_itself_is_handled_in_its_place(diary: Diary, turns: Turns) -> None:
    diary.actor_ref.tell(lambda: diary.actor_ref.tell("to myself"))
    diary.actor_ref.tell("from outside")
    turns.run()
    assert diary.lines == ["start", "from outside", "to myself"]


def test_an_actor_that_tells_itself_without_end_leaves_the_others_their_turns(turns: Turns) -> None:
    endless, other = started(turns), started(turns)

    def again() -> None:
        endless.actor_ref.tell(again)

    endless.actor_ref.tell(again)
    other.actor_ref.tell("mine")
    turns.turn()
    turns.turn()
    assert other.lines == ["start", "mine"]


def test_while_a_mailbox_is_asleep_its_messages_wait_in_order(turns: Turns) -> None:
    diary = Diary(turns)
    diary.inbox.asleep = True
    diary._start_actor_loop()
    for number in range(3):
        diary.actor_ref.tell(number)
    turns.run()
    assert (diary.lines, len(diary.inbox)) == (["start"], 3)
    diary.inbox.asleep = False
    diary.inbox.nudge()
    turns.run()
    assert diary.lines == ["start", 0, 1, 2]


def test_an_actor_that_falls_asleep_in_a_turn_leaves_the_rest_for_later(diary: Diary, turns: Turns) -> None:
    diary.actor_ref.tell(lambda: setattr(diary.inbox, "asleep", True))
    diary.actor_ref.tell("later")
    turns.run()
    assert diary.lines == ["start"]
    diary.inbox.asleep = False
    diary.inbox.nudge()
    turns.run()
    assert diary.lines == ["start", "later"]


def test_a_nudge_without_messages_asks_for_nothing(diary: Diary, turns: Turns) -> None:
    diary.inbox.nudge()
    assert not turns.waiting


def test_a_mailbox_counts_what_waits(diary: Diary, turns: Turns) -> None:
    assert (len(diary.inbox), diary.inbox.empty()) == (0, True)
    for number in range(5):
        diary.actor_ref.tell(number)
    assert (len(diary.inbox), diary.inbox.empty()) == (5, False)
    turns.run()
    assert (len(diary.inbox), diary.inbox.empty()) == (0, True)
