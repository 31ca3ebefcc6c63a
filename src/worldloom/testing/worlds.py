"""check_world: everything that Worldloom promises of a world, tried on one. Each fault is an AssertionError of one sentence.

    def test_pendulum_keeps_the_promises():
        check_world(WORLD)

A life is run in many ways that must not matter (alone, permuted, split, threaded, in dirty memory, at every lane width, uncompiled, in
the CUDA simulator) and compared bit for bit, NaN counted equal. Entries of the state that no reset and no step writes are left out:
they are told by keeping two different fillings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from worldloom.core.errors import WorldloomError
from worldloom.core.field import BLOCK, Record, each, fields, from_blocks
from worldloom.core.keys import run_key, uniforms
from worldloom.core.launch import BEGIN, END
from worldloom.core.world import Mode, Status, World
from worldloom.runtime.evaluate import outcome_digest
from worldloom.testing.compare import Numbers, differing, first, must_agree, numbers_of, of_lanes
from worldloom.testing.crowd import FILLINGS, Crowd, Push, Sampler, Still, choices, filler, gather
from worldloom.testing.cuda import declares_double, instructions, kernel_ptx, simulate
from worldloom.testing.plain import Stretch, run_plainly, stretch

STANDARD_LANES = 64  # of the run behind `digest`: a whole life in the reference mode, keys of seed 1
PLAIN_LANES, PLAIN_STEPS = 3, 4  # uncompiled code is ten thousand times slower
MOST_STEPS = 1000
WIDTHS = (1, 4, 8, 16)


def check_world(
    world: World,
    *,
    lanes: int = 100,
    steps: int | None = None,
    digest: str | None = None,
    inputs: Sampler | None = None,
    settings: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    simulator: bool = True,
    ptx: bool = True,
) -> str:
    """Raises AssertionError unless the world keeps every promise; gives the digest of its standard run.

    steps: of the lives compared, absent: the world's own number, at most 1000. digest: what the standard run gave before.
    inputs(key, lanes) -> Inputs in edge form, for a world that has no genome and whose inputs have no bounds.
    """
    try:
        check_declarations(world)
        crowd = gather(world, lanes, inputs=inputs, settings=settings, sizes=sizes)
        life = steps or min(world.steps(crowd.params), MOST_STEPS)
        check_compiled(crowd, life)
        for mode in (None, *(name for name, mode in world.modes.items() if mode.step is not None)):
            other = gather(world, lanes, inputs=inputs, settings=settings, sizes=sizes, mode=mode)
            check_widths(other, life)
            check_plain(other, life, simulator)
            if ptx:
                check_ptx(other)
        check_modes(world, lanes, inputs=inputs, settings=settings, sizes=sizes)
        found = standard_digest(world, inputs=inputs, settings=settings, sizes=sizes)
    except WorldloomError as error:
        raise AssertionError(f"World {world.name!r}: {error}") from error
    moved = f"World {world.name!r} version {world.version}: results moved. The digest is {found}, expected {digest}: raise version or mend."
    assert digest in (None, found), moved
    return found


def check_compiled(crowd: Crowd, steps: int) -> None:
    """All that must not matter to compiled code of one width."""
    check_ends(crowd, steps)
    check_garbage(crowd, steps)
    check_neighbours(crowd, steps)
    check_splits(crowd, steps)
    check_threads(crowd, steps)


# ---- what is declared ------------------------------------------------------------------------------------------------------------


def check_declarations(world: World) -> None:
    """Unit and meaning on every field, a default for every parameter, modes that change only parameters that exist."""
    named = {kind: getattr(world, kind) for kind in ("params", "inputs", "state", "outcome")}
    listed = [(f"{kind}.{name}", field) for kind, record in named.items() for name, field in fields(record).items()]
    listed += [(kind, field) for kind, field in (("observation", world.observation), ("action", world.action)) if field is not None]
    for name, field in listed:
        assert field.unit.strip(), f"World {world.name!r}: {name} has no unit. Give its Field one; a plain number has unit '1'."
        assert field.doc.strip(), f"World {world.name!r}: {name} has no doc. Say in its Field what it is."
        without = name.startswith("params.") and field.default is None
        assert not without, f"World {world.name!r}: {name} has no default. Give its Field default=."
    for kind, things in (("mode", world.modes), ("size", world.sizes)):
        for name, thing in things.items():
            assert thing.doc.strip(), f"World {world.name!r}: {kind} {name!r} has no doc. Say what it is for."
    for mode in (None, *world.modes):
        world.filled(mode)


# ---- the promises -----------------------------------------------------------------------------------------------------------------


def check_ends(crowd: Crowd, steps: int) -> None:
    """Every outcome is written, its status is one of Status, and with OK it is finite; inputs are only read."""
    world, lives = crowd.world, {filling: crowd.life(steps, filling=filling) for filling in FILLINGS}
    for name in fields(world.outcome):
        arrays = {filling: life[f"outcome.{name}"] for filling, life in lives.items()}
        kept = [~differing(array, np.full_like(array, filler(array.dtype, filling))) for filling, array in arrays.items()]
        lane = first(np.logical_and.reduce(kept))
        assert lane is None, f"World {world.name!r}: outcome.{name} of lane {lane} is never written. Write it in finish."
    one = lives["zeros"]
    check_status(world, one)
    made = crowd.rollout()
    before = from_blocks(made._inputs, crowd.lanes)
    made.run(steps)
    for name, _, array in each(from_blocks(made._inputs, crowd.lanes)):
        lane = first(differing(getattr(before, name), array))
        assert lane is None, (
            f"World {world.name!r}: inputs.{name} of lane {lane} was written. Inputs are only read; put it into the state."
        )


def check_status(world: World, life: Numbers, mode: str = "") -> None:
    """Status is one of Status, and nothing that is not finite comes with OK."""
    status, where = life["outcome.status"], f" in mode {mode!r}" if mode else ""
    lane = first(~np.isin(status, list(Status)))
    assert lane is None, (
        f"World {world.name!r}: status of lane {lane} is {status[lane or 0]}{where}. Expected one of {', '.join(Status.__members__)}."
    )
    for name, array in life.items():
        if name.startswith("outcome.") and array.dtype.kind == "f":
            lane = first(~np.isfinite(array).reshape(len(array), -1).all(1) & (status == Status.OK))
            fault = f"World {world.name!r}: {name} of lane {lane} is not finite though its status is OK{where}. Set the status in finish."
            assert lane is None, fault


def check_garbage(crowd: Crowd, steps: int) -> None:
    """What was in memory before, and who fills up the last block, does not matter."""
    clean = crowd.life(steps, filling="zeros")
    why = "Memory is reused: reset must write whatever step and finish read."
    dirty = crowd.life(steps, filling="0xAA bytes")
    unwritten = {
        name: ~differing(array, np.full_like(array, 0))
        & ~differing(dirty[name], np.full_like(array, filler(array.dtype, "0xAA bytes")))
        for name, array in clean.items()
    }
    for filling in list(FILLINGS)[1:]:
        life = crowd.life(steps, filling=filling)
        must_agree(crowd.world, clean, life, "in clean memory", f"in memory full of {filling}", why=why, skip=unwritten)
    made, odd = crowd.rollout(filling="zeros"), crowd.lanes % BLOCK
    for array in (*(a for _, field, a in each(made._inputs) if field.per == "lane"), made._edge.key):
        array[-1, ..., odd:] = array[0, ..., odd:]
    made.run(steps)
    why = "Lanes may not see each other."
    must_agree(crowd.world, clean, numbers_of(made), "as it is", "when other lanes fill up the last block", why=why)


def check_neighbours(crowd: Crowd, steps: int) -> None:
    """A lane is the same alone, in a small batch and at another place in the batch."""
    whole = crowd.life(steps)
    shared = any(field.per == "block" for field in fields(crowd.world.inputs).values())
    for how, chosen in choices(crowd):
        part, expected = crowd.life(steps, chosen), of_lanes(whole, chosen)
        if shared:  # the places that a block gives to parts of the state depend on its lanes; what they amount to does not
            expected = {name: array for name, array in expected.items() if not name.startswith("state.")}
        must_agree(crowd.world, expected, part, "in its batch", how, why="A lane's result may depend on its inputs and key alone.")


def check_splits(crowd: Crowd, steps: int) -> None:
    """Any division of a life into launches is the same life, and so is one that is stepped by a policy that does nothing."""
    whole, why = crowd.life(steps), "A step may depend on t, state and inputs, not on how launches divide the life."
    for how, parts in (("in launches of one step", [1] * steps), ("in uneven launches", [7, 1, steps])):
        made, left = crowd.rollout(), steps
        made.reset()
        for part in parts:
            made.advance(min(part, left))
            left -= min(part, left)
        made.finish()
        must_agree(crowd.world, whole, numbers_of(made), "in one launch", how, why=why)
    made = crowd.rollout()
    made.run_with(Still(crowd.world.action), np.zeros((crowd.lanes, 0)), steps)
    must_agree(crowd.world, whole, numbers_of(made), "in one launch", "stepped with actions of zero", why=why)


def check_threads(crowd: Crowd, steps: int) -> None:
    """One thread or many, chunks of any size in any order."""
    whole, why = crowd.life(steps), "Lanes may not see each other."
    for threads in (2, 3):
        must_agree(crowd.world, whole, crowd.life(steps, threads=threads), "on 1 thread", f"on {threads} threads", why=why)
    made = crowd.rollout()
    width = made._driver.width
    for start in reversed(range(0, -(-crowd.lanes // BLOCK) * BLOCK, width)):
        made._driver.run(start, start + width, 0, steps, BEGIN | END, made._table)
    must_agree(crowd.world, whole, numbers_of(made), "in one chunk", f"in chunks of {width} lanes, last first", why=why)


def check_widths(crowd: Crowd, steps: int) -> None:
    """Registers of 1, 4, 8 and 16 lanes give the same bits, fused and stepped by a policy. A scalar world has width 1 alone."""
    widths = (1,) if crowd.world.scalar else WIDTHS
    fused, stepped = {}, {}
    for width in widths:
        fused[width], made = crowd.life(steps, width=width), crowd.rollout(width=width)
        made.run_with(Push(crowd.world.action), np.zeros((crowd.lanes, 0)), min(steps, 50))
        stepped[width] = numbers_of(made)
    why = "Something in the step is not a lane operation, or reads memory that reset did not write."
    for width in widths[1:]:
        must_agree(crowd.world, fused[1], fused[width], "at width 1", f"at width {width}", why=why)
        must_agree(crowd.world, stepped[1], stepped[width], "at width 1 under a policy", f"at width {width}", why=why)


def moments(crowd: Crowd, steps: int) -> Iterator[tuple[Stretch, Numbers]]:
    """(stretch, what compiled code makes of it): a short life, and a few steps from the middle of a long one to its end."""
    made = crowd.rollout(range(min(PLAIN_LANES, crowd.lanes)))
    action = made._edge.action
    made.act(uniforms(run_key(3), made.lanes, *action.shape[1:-1]))
    for start in (0, steps // 2):
        phases = END if start else BEGIN | END
        if start:
            made.reset()
            made.advance(start)
        last = min(start + PLAIN_STEPS, steps)
        given = stretch(made, crowd.mode, start, last, phases)
        made._launch(start, last, phases)
        yield given, numbers_of(made)


def check_plain(crowd: Crowd, steps: int, simulator: bool) -> None:
    """The uncompiled functions, here and in the CUDA simulator, give the bits of the compiled ones."""
    pairs = list(moments(crowd, steps))
    simulated = simulate([given for given, _ in pairs]) if simulator else []
    why = "Something means another thing in plain Python than in lane code: a float64 constant of NumPy, or an integer that is not a lane."
    for k, (given, expected) in enumerate(pairs):
        at = f"after steps {given.t0} to {given.t1}"
        must_agree(crowd.world, expected, run_plainly(given), f"compiled, {at}", "uncompiled", why=why)
        if simulator:
            must_agree(crowd.world, expected, simulated[k], f"compiled, {at}", "in the CUDA simulator", why=why)


def check_ptx(crowd: Crowd) -> None:
    """The world compiles for sm_90, and every rounding is spelled out."""
    sizes = crowd.rollout([0]).sizes
    found = instructions(kernel_ptx(crowd.world, crowd.mode, sizes)).faults(double=declares_double(crowd.world))
    listed = ", ".join(f"{name} {count}" for name, count in found.items())
    fault = (
        f"World {crowd.world.name!r}: its PTX may round otherwise than a CPU: {listed}. Keep arithmetic among lanes and parameters."
    )
    assert not found, fault


# ---- modes and the standard run ----------------------------------------------------------------------------------------------------


def measured_error(world: World, accurate: Record, other: Record) -> dict[str, float]:
    """What a mode costs: the world's own measures, or the largest relative difference of fitness among lanes that ended well in both."""
    if world.error is not None:
        return world.error(accurate, other)
    good = (accurate.status == Status.OK) & (other.status == Status.OK)
    a, b = (np.asarray(outcome.fitness, np.float64)[good] for outcome in (accurate, other))
    assert len(a), f"World {world.name!r}: no lane ended well in both modes, so their difference cannot be measured."
    with np.errstate(divide="ignore"):
        return {"fitness": float(np.max(np.where(a == b, 0, np.abs(a - b) / np.abs(a))))}


def check_modes(world: World, lanes: int, **made_with: Any) -> None:
    """Whole lives in each mode: status is told, and the measured error is within the bound that the mode declares.

    Both lives are of lanes that are valid in that mode; the reference is the mode that trades nothing, so they are valid there too.
    """
    for name, mode in world.modes.items():
        crowd = gather(world, lanes, mode=name, **made_with)
        made = crowd.rollout()
        outcome = made.run(world.steps(crowd.params))
        check_status(world, numbers_of(made), name)
        if mode.error:
            reference = replace(gather(world, lanes, **made_with), people=crowd.people)
            accurate = reference.rollout().run(world.steps(reference.params))
            check_error(world, name, mode, measured_error(world, accurate, outcome))


def check_error(world: World, name: str, mode: Mode, measured: Mapping[str, float]) -> None:
    """What was measured is within what the mode claims."""
    for measure, bound in mode.error.items():
        told, found = f"World {world.name!r}: mode {name!r} claims an error of {measure!r}", measured.get(measure)
        assert found is not None, f"{told}, which is not measured. Measured: {', '.join(measured)}."
        assert found <= bound, f"{told} of at most {bound:g}, but {found:g} was measured. Mend the mode or the claim."


def standard_digest(world: World, **made_with: Any) -> str:
    """The digest of the outcome of 64 whole lives in the reference mode."""
    crowd = gather(world, STANDARD_LANES, **made_with)
    return outcome_digest(crowd.rollout().run(world.steps(crowd.params)))
