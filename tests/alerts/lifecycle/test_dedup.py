"""One key for one piece of news, however often it is computed or sent."""

from tests.alerts.builders import BLIND_SPOT, context, fired, quiet, run, shifted
from tidegauge_alerts import Rule, messages_of


def keys_of(stream: str = "spam", window: int = 0) -> list[str]:
    where = context(window, stream=stream)
    return [m.dedup_key for m in messages_of(fired(shifted()), Rule(), where)]


def test_the_same_window_gives_the_same_key() -> None:
    assert keys_of() == keys_of()


def test_a_key_never_changes() -> None:
    """Else a message sent before an upgrade would be sent again after it."""
    assert keys_of() == ["88517afeadf9caca8eebb8d1-firing"]


def test_streams_windows_and_statuses_differ() -> None:
    history = run([shifted(), *[quiet()] * 4])
    resolved = messages_of(history.steps[-1], Rule(), context(4))
    all_keys = [*keys_of(), *keys_of("other"), *keys_of(window=1), *keys_of(window=4)]
    all_keys += [m.dedup_key for m in resolved]
    assert len(set(all_keys)) == 5


def test_a_window_evaluated_again_keeps_its_key_whatever_is_found() -> None:
    """Another series may move along: the receiver has had news of this incident already."""
    along = shifted(0.3, key=BLIND_SPOT, rank=0.1)
    more = messages_of(fired(shifted(), along), Rule(), context())
    assert [m.dedup_key for m in more] == keys_of()


def test_candidates_links_and_rule_are_not_part_of_it() -> None:
    other = messages_of(fired(shifted()), Rule(budget=1.0), context(), 9, "https://x.example")
    assert [m.dedup_key for m in other] == keys_of()


def test_a_key_fits_a_header_and_the_outbox() -> None:
    (key,) = keys_of("\r\nEvil: 1 é\ud800" * 100)
    assert key.isascii()
    assert key.isprintable()
    assert len(key) <= 40
