"""What is kept of a command's output."""

from hypothesis import given
from hypothesis import strategies as st

from interlock.agent.output import Capture, LineSplitter, Tail
from interlock.agent.text import MAX_DEPTH, clean, decode, json_object

pieces = st.lists(st.binary(max_size=30) | st.sampled_from([b"\n", b"\r\n", b"a\nb", b"x" * 50]), max_size=30)


@given(pieces)
def test_lines_do_not_depend_on_how_the_stream_was_cut(stream: list[bytes]) -> None:
    lines: list[bytes] = []
    splitter = LineSplitter(10_000, lines.append)
    for piece in stream:
        splitter.feed(piece)
    splitter.close()
    whole = b"".join(stream)
    expected = whole.split(b"\n")
    assert lines == [line.removesuffix(b"\r") for line in (expected[:-1] if expected[-1] == b"" else expected)]


@given(pieces, st.integers(1, 40))
def test_no_line_is_longer_than_the_limit_and_a_note(stream: list[bytes], limit: int) -> None:
    lines: list[bytes] = []
    splitter = LineSplitter(limit, lines.append)
    for piece in stream:
        splitter.feed(piece)
        assert len(splitter._partial) <= limit
    splitter.close()
    assert all(len(line) <= limit + len(" … 1500 bytes cut".encode()) for line in lines)


def test_a_line_that_was_cut_says_by_how_much() -> None:
    lines: list[bytes] = []
    splitter = LineSplitter(4, lines.append)
    splitter.feed(b"abcd")
    splitter.feed(b"efg\nnext\n")
    assert [decode(line) for line in lines] == ["abcd … 3 bytes cut", "next"]


@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 10), st.integers(1, 60))
def test_a_tail_is_the_end_of_what_was_added_within_both_limits(lines: list[bytes], most: int, limit: int) -> None:
    tail = Tail(most, limit)
    for line in lines:
        tail.add(line)
    kept = list(tail._lines)
    assert kept == lines[len(lines) - len(kept) :]
    assert len(kept) <= most
    assert len(b"\n".join(kept)) <= limit or len(kept) == 1
    more = lines[len(lines) - len(kept) - 1 :] if len(kept) < min(most, len(lines)) else None
    assert more is None or len(b"\n".join(more)) > limit


def test_both_streams_are_kept_together_and_stdout_also_by_itself() -> None:
    seen: list[tuple[str, bytes]] = []
    capture = Capture(10, 1000, lambda level, line: seen.append((level, line)))
    capture.stdout.feed(b"one\n")
    capture.stderr.feed(b"two\n")
    capture.stdout.feed(b"\n")
    capture.close()
    assert capture.tail.text() == "one\ntwo"
    assert capture.stdout_tail.last() == "one"
    assert seen == [("info", b"one"), ("error", b"two"), ("info", b"")]


@given(st.text(alphabet=st.characters()))
def test_clean_text_has_neither_nul_nor_lone_surrogates(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned


def test_only_a_json_object_is_an_output() -> None:
    assert json_object(' {"a": [1, {"b\\u0000": "c\\u0000"}]} ') == {"a": [1, {"b": "c"}]}
    for text in ("", "[]", "1", "{", '{"a": NaN}', '{"a": "\\ud800"}', "{'a': 1}", '{"a": 1e999}'):
        assert json_object(text) is None
    assert json_object('{"a":' * 50_000) is None


def test_an_output_too_deep_to_travel_is_text() -> None:
    assert json_object('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH) is not None
    assert json_object('{"a":' * (MAX_DEPTH + 2) + "1" + "}" * (MAX_DEPTH + 2)) is None
