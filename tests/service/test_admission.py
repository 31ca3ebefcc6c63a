"""The gate: what it lets in, what it refuses, and that nothing of a job is left once it ended, however it ended."""

import asyncio
import contextvars
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.errors import BusyError, InputError, JobError
from worldloom.service import admission
from worldloom.service.admission import LEAST, PLACES, RATE, REQUEST, WHOLE, Gate, Turnstile
from worldloom.service.problems import TooLarge
from worldloom.service.settings import Settings

KIND = ("walker", "")


@contextmanager
def gate_of(*, cores=1, **told):
    gate = Gate(Settings(**told), cores=cores)
    try:
        yield gate
    finally:
        gate.close()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def outcome_of(waiting):
    """What awaiting gives: a value, or the class of the error."""
    try:
        return await waiting
    except (Exception, asyncio.CancelledError) as error:
        return type(error)


def held(gate, release, work=1):
    """A task whose call waits for an event; it looks at `stopped` as a batch does."""

    def call(job):
        while not release.wait(0.001):
            if job.stopped():
                raise JobError("stopped")
        return "done"

    return asyncio.ensure_future(gate.run(KIND, work, call))


def test_an_idle_gate_gives_what_the_call_gives_and_keeps_nothing():
    async def story(gate):
        assert await gate.run(KIND, 1, lambda job: threading.current_thread().name) != threading.current_thread().name
        assert (gate.backlog, gate.in_flight, gate.places) == (0, 0, 0)

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_a_call_sees_what_the_request_set_in_its_context():
    word = contextvars.ContextVar("word", default="nothing")

    async def story(gate):
        word.set("spoken")
        return await gate.run(KIND, 1, lambda job: word.get())

    with gate_of() as gate:
        assert asyncio.run(story(gate)) == "spoken"


def test_work_that_nobody_could_finish_in_time_is_too_large_even_when_idle():
    async def story(gate):
        with pytest.raises(TooLarge, match=r"would take about 1e\+06 s. Expected at most 30 s .* POST /api/runs"):
            await gate.run(KIND, 10**12, lambda job: None)
        assert await gate.run(KIND, int(29 * RATE), lambda job: "as much as is allowed") and gate.refused == 0

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_more_work_than_patience_is_refused_until_it_is_done():
    async def story(gate):
        release = threading.Event()
        running = held(gate, release, work=int(2 * RATE))
        await until(lambda: gate.in_flight == 1)
        with pytest.raises(BusyError, match=r"work for 2\.0 s. Expected at most 1 s waiting. Ask again in") as caught:
            await gate.run(KIND, 1, lambda job: None)
        assert caught.value.seconds >= 1 and gate.refused == 1
        with pytest.raises(BusyError):
            gate.check()
        release.set()
        assert await running == "done" and gate.backlog == 0
        gate.check()
        assert await gate.run(KIND, 1, lambda job: "again") == "again"

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_a_batch_that_takes_longer_than_its_price_weighs_more_and_more():
    async def story(gate):
        release = threading.Event()
        running = held(gate, release)
        await asyncio.sleep(0.1)
        assert 0.05 < gate.backlog < 1
        release.set()
        await running

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_as_many_batches_run_at_a_time_as_the_cores_have_room_for():
    with gate_of(cores=5, threads=2) as gate:
        assert gate.batches == 2
    with gate_of(cores=1, threads=4) as gate:
        assert gate.batches == 1


def test_places_bound_what_is_read_and_run():
    with gate_of() as gate:
        held_places = [gate.place() for _ in range(PLACES)]
        for place in held_places:
            place.__enter__()
        with pytest.raises(BusyError, match=f"{PLACES} requests in hand. Expected fewer"):
            gate.check()
        held_places[0].__exit__(None, None, None)
        gate.check()
        for place in held_places[1:]:
            place.__exit__(None, None, None)
        assert gate.places == 0


def test_a_place_is_free_again_after_an_error():
    with gate_of() as gate:
        with pytest.raises(InputError), gate.place():
            raise InputError("wrong")
        assert gate.places == 0


def test_a_call_that_was_cancelled_before_it_began_never_begins():
    async def story(gate):
        release, began = threading.Event(), []
        running = held(gate, release)
        waiting = asyncio.ensure_future(gate.run(KIND, 1, lambda job: began.append(1)))
        await until(lambda: gate.in_flight == 2)
        waiting.cancel()
        await until(lambda: gate.in_flight == 1)
        release.set()
        await running
        assert await outcome_of(waiting) is asyncio.CancelledError and not began and gate.in_flight == 0

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_a_call_that_was_cancelled_while_it_ran_is_told_to_stop():
    async def story(gate):
        running = held(gate, threading.Event())
        await until(lambda: any(job.began for job in gate._jobs))
        running.cancel()
        await until(lambda: gate.in_flight == 0)
        assert await outcome_of(running) is asyncio.CancelledError

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_a_call_that_takes_too_long_is_stopped():
    async def story(gate):
        with pytest.raises(JobError, match=r"stopped after 0.\d s. Expected at most 0.1 s"):
            await held(gate, threading.Event())
        await until(lambda: gate.in_flight == 0)

    with gate_of(seconds=0.1) as gate:
        asyncio.run(story(gate))


def test_a_call_that_does_not_stop_is_given_up_and_weighs_until_it_ends(monkeypatch):
    monkeypatch.setattr(admission, "GRACE", 0.05)

    async def story(gate):
        deaf = threading.Event()
        with pytest.raises(JobError, match=r"Expected at most 0\.05 s"):
            await gate.run(KIND, 1, lambda job: deaf.wait(10))
        assert gate.in_flight == 1
        deaf.set()
        await until(lambda: gate.in_flight == 0)

    with gate_of(seconds=0.05, patience=0.05) as gate:
        asyncio.run(story(gate))


def test_errors_of_a_call_come_through():
    async def story(gate):
        for error in (InputError("wrong"), JobError("failed"), TimeoutError("slow"), MemoryError("full")):

            def call(job, error=error):
                raise error

            with pytest.raises(type(error), match=str(error)):
                await gate.run(KIND, 1, call)
        assert (gate.in_flight, gate.backlog) == (0, 0)

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_the_rate_is_measured_without_compiling_and_without_tiny_batches():
    def taking(seconds, compiled=0.0):
        def call(job):
            job.compiled = compiled
            threading.Event().wait(seconds)

        return call

    async def story(gate):
        first = gate.price(KIND, WHOLE)
        assert first == pytest.approx(REQUEST + WHOLE / RATE)
        await gate.run(KIND, LEAST - 1, taking(0.1))
        assert gate.price(KIND, WHOLE) == first
        await gate.run(KIND, WHOLE, taking(0.12, compiled=0.1))
        assert REQUEST < (quick := gate.price(KIND, WHOLE)) < 0.1
        await gate.run(KIND, LEAST, taking(0.12))
        assert quick < (slower := gate.price(KIND, WHOLE)) < 0.3
        await gate.run(KIND, WHOLE, taking(0.5))
        assert slower < gate.price(KIND, WHOLE) < 0.5
        assert gate.price(("other", ""), WHOLE) == first

    with gate_of() as gate:
        asyncio.run(story(gate))


class Asked:
    """An application that counts what reaches it, and a client of it that says whether its body was read."""

    def __init__(self, gate, inside):
        self.turnstile, self.inside, self.reached, self.read, self.answers = Turnstile(self, gate), inside, 0, 0, []

    async def __call__(self, scope, receive, send):
        self.reached += 1
        await receive()
        await self.inside()

    async def receive(self):
        self.read += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message):
        self.answers.append(message)

    async def post(self, path):
        await self.turnstile({"type": "http", "path": path, "method": "POST", "headers": []}, self.receive, self.send)


def test_the_turnstile_holds_a_place_from_before_the_body_until_the_answer():
    async def story(gate):
        async def inside():
            assert gate.places == 1

        asked = Asked(gate, inside)
        await asked.post("/api/simulation/batch")
        assert (asked.reached, asked.read, gate.places) == (1, 1, 0)

        async def failing():
            raise InputError("wrong")

        with pytest.raises(InputError):
            await Asked(gate, failing).post("/api/genetics/evolve")
        assert gate.places == 0

    with gate_of() as gate:
        asyncio.run(story(gate))


def test_the_turnstile_refuses_before_a_body_is_read_and_lets_other_paths_through():
    async def story(gate):
        async def inside():
            assert gate.places == 0

        release = threading.Event()
        running = held(gate, release, work=int(2 * RATE))
        asked = Asked(gate, inside)
        await until(lambda: gate.in_flight == 1)
        await asked.post("/api/simulation/batch")
        start = asked.answers[0]
        assert (start["status"], asked.reached, asked.read) == (429, 0, 0)
        assert int(dict(start["headers"])[b"retry-after"]) >= 1 and dict(start["headers"])[b"x-content-type-options"] == b"nosniff"
        await asked.post("/api/worlds")
        assert asked.reached == 1
        release.set()
        await running
        assert (gate.refused, gate.places) == (1, 0)

    with gate_of() as gate:
        asyncio.run(story(gate))


acts = st.lists(
    st.tuples(st.sampled_from(["done", "fails", "too long", "cancelled", "dropped", "too large"]), st.integers(1, 20_000)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(acts=acts, cores=st.integers(1, 3))
def test_whatever_happens_nothing_is_left(acts, cores):
    async def acted(gate, act, work):
        with gate.place():
            if act == "too large":
                return await gate.run(KIND, 10**15, lambda job: None)
            release = threading.Event()
            running = held(gate, release, work)
            if act == "done":
                asyncio.get_running_loop().call_later(0.002, release.set)
            if act == "fails":
                running.cancel()
                return await gate.run(KIND, work, lambda job: 1 // 0)
            if act in ("cancelled", "dropped"):
                await asyncio.sleep(0.002 if act == "cancelled" else 0)
                running.cancel()
            return await running

    async def story(gate):
        told = await asyncio.gather(*(outcome_of(acted(gate, act, work)) for act, work in acts))
        await until(lambda: gate.in_flight == 0)
        assert (gate.backlog, gate.places) == (0, 0)
        for (act, _), result in zip(acts, told, strict=True):
            ends = {"done": "done", "fails": ZeroDivisionError, "too long": JobError, "too large": TooLarge}
            late = JobError if act == "done" else BusyError  # a machine that stands still for 60 ms lets nothing be done in time
            assert result in (ends.get(act, asyncio.CancelledError), BusyError, late)
        assert gate.refused >= sum(result is BusyError for result in told)
        assert await gate.run(KIND, 1, lambda job: "still works") == "still works"

    with gate_of(cores=cores, seconds=0.06, patience=0.03) as gate:
        asyncio.run(story(gate))
