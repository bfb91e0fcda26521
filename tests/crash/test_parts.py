"""The parts of the harness do what the proof rests on."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice

import pytest

from tests.crash import oracle, traffic
from tests.crash.judge import Differences, Held, compare, compare_runs
from tests.crash.oracle import UnfairError, judge_inputs
from tests.crash.proxy import Proxy
from tests.crash.traffic import LATENESS_MS, START_MS, STRAGGLER, WINDOW_MS, Mix, message
from tests.service.oracle import TEXTS

# -- Traffic and oracle -----------------------------------------------------------------------


def topic(seed: int = 1, inputs: int = 2_000) -> dict[int, list[bytes]]:
    mix = Mix(partitions=2)
    return {p: list(islice(traffic.values(seed, p, mix), inputs)) for p in range(mix.partitions)}


def test_traffic_is_a_function_of_the_seed() -> None:
    assert topic(seed=1) == topic(seed=1)
    assert topic(seed=1) != topic(seed=2)


def test_traffic_has_some_of_everything() -> None:
    expected = judge_inputs(topic())
    assert {letter.reason for letter in expected.letters} == set(traffic.BROKEN)
    assert expected.stragglers
    values = topic()[0]
    assert any(a == b and a not in traffic.BROKEN.values() for a, b in zip(values, values[1:]))  # noqa: B905, RUF007
    assert expected.records + len(expected.letters) == 4_000


@pytest.mark.parametrize("text", TEXTS)
def test_votes_are_those_written_down_by_hand(text: str) -> None:
    assert oracle.votes(text)[:3] == tuple(vote or "abstain" for vote in TEXTS[text])


def test_an_error_is_no_abstain_and_makes_nothing_blind() -> None:
    found = oracle.cells({"text": "boom goes the deal", "country": "DE"})
    assert found["_all deal error"] == 1
    assert not found["_all blind"]
    assert not found["_all covered"]


def test_a_record_that_is_late_by_accident_is_refused() -> None:
    late = message("r1", START_MS + WINDOW_MS, text="hi", country="DE")
    ahead = message("r2", START_MS + WINDOW_MS + LATENESS_MS + 1, text="hi", country="DE")
    judge_inputs({0: [late, ahead]})
    with pytest.raises(UnfairError, match="behind"):
        judge_inputs({0: [ahead, late]})


# -- The judge --------------------------------------------------------------------------------


def held(**changes: object) -> Held:
    """Return what a database holds that has counted one record and one straggler."""
    place = (0, START_MS)
    cells = oracle.cells({"text": "hi", "country": "DE"})
    row = type("Row", (), {"next_offset": 2, "records": 2, "late": 1})
    plain: dict[str, object] = {
        "partitions": {0: row},
        "cursors": {"closed": START_MS + WINDOW_MS, "evaluated": START_MS + WINDOW_MS},
        "panes": {place: cells},
        "pane_records": {place: 1},
        "late": Counter({place: 1}),
        "letters": [],
        "letter_counts": {},
        "windows": {START_MS: ("baseline", 1)},
        "texts": {},
        "figures": {},
        "transitions": Counter(),
        "messages": {},
    }
    return Held(**(plain | changes))  # type: ignore[arg-type]


def differences(found: Held) -> Differences:
    inputs = [
        message("r1", START_MS, text="hi", country="DE"),
        message("s1", START_MS, **STRAGGLER),
    ]
    return compare(found, judge_inputs({0: inputs}), START_MS + WINDOW_MS)


def test_a_straggler_may_be_late() -> None:
    assert not differences(held()).lines


def test_a_straggler_may_be_counted() -> None:
    place = (0, START_MS)
    both = oracle.cells({"text": "hi", "country": "DE"}) + oracle.STRAGGLER_CELLS
    row = type("Row", (), {"next_offset": 2, "records": 2, "late": 0})
    counted = held(
        panes={place: both},
        pane_records={place: 2},
        late=Counter(),
        partitions={0: row},
        windows={START_MS: ("baseline", 2)},
    )
    assert not differences(counted).lines


def test_a_record_on_time_may_not_be_late() -> None:
    assert differences(held(late=Counter({(0, START_MS): 2}))).kinds["late"] == 1


def test_a_record_that_was_counted_twice_is_found() -> None:
    twice = oracle.times(2, oracle.cells({"text": "hi", "country": "DE"}))
    assert differences(held(panes={(0, START_MS): twice})).kinds["cell"]


def test_a_window_that_was_never_evaluated_is_found() -> None:
    assert differences(held(windows={})).kinds == {"window": 1}


def compared(found: Held, delivered: dict[str, int]) -> Counter[str]:
    clean = held(transitions=Counter({("a", START_MS, "fires"): 1}), messages={"m": "sent"})
    noted = Differences()
    compare_runs(noted, found, clean, delivered)
    return noted.kinds


def test_alerts_are_those_of_the_clean_run() -> None:
    same = {"transitions": Counter({("a", START_MS, "fires"): 1}), "messages": {"m": "sent"}}
    assert not compared(held(**same), {"m": 2}), "at least once"
    assert compared(held(**same), {}) == {"notification_lost": 1}
    assert compared(held(**same | {"messages": {"m": "failed"}}), {"m": 1}) == {"message": 1}
    assert compared(held(**same | {"messages": {}}), {}) == {"notification_lost": 1}
    assert compared(held(**same | {"transitions": Counter()}), {"m": 1}) == {"transition": 1}
    twice = Counter({("a", START_MS, "fires"): 2})
    assert compared(held(**same | {"transitions": twice}), {"m": 1}) == {"transition": 1}


# -- The proxy --------------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[Proxy]:
    """Give a proxy to a server that says what it is told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(ConnectionError):
                while data := connection.recv(100):
                    connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    proxy = Proxy(listener.getsockname()[1])
    try:
        yield proxy
    finally:
        proxy.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_a_proxy_forwards(echo: Proxy) -> None:
    with closing(connect(echo)) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_a_cut_resets_connections_and_refuses_new_ones(echo: Proxy) -> None:
    with closing(connect(echo)) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        echo.cut()
        assert ended(client)
    assert refused(echo)
    echo.heal()
    with closing(connect(echo)) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def refused(proxy: Proxy) -> bool:
    """Whether a connection is refused, or reset as soon as it is there."""
    try:
        with closing(connect(proxy)) as client:
            return ended(client)
    except ConnectionError:
        return True


def ended(client: socket.socket) -> bool:
    try:
        return not client.recv(100)
    except ConnectionError:
        return True


def test_what_was_frozen_goes_on_when_it_is_healed(echo: Proxy) -> None:
    with closing(connect(echo)) as client:
        echo.freeze()
        client.sendall(b"hello")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(10)
        echo.heal()
        assert client.recv(100) == b"hello"
