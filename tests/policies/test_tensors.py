"""Arrays as tensors: the shapes that creatures promise, and no copies."""

import numpy as np
import pytest

from worldloom.core.errors import InputError, MachineError
from worldloom.core.keys import run_key
from worldloom.core.rollout import Rollout
from worldloom.policies.tensors import tensors
from worldloom.worlds.creatures import WORLD
from worldloom.worlds.creatures.view import batched

torch = pytest.importorskip("torch")


def sampled(count=20):
    params = WORLD.filled()
    genome = WORLD.genome(params, WORLD.sized())
    genes = genome.sampled(run_key(1), count)
    rollout = Rollout(WORLD, params, genome.express(genes), np.arange(count, dtype=np.uint64))
    return genes, rollout


def test_a_batch_of_creatures_has_the_documented_tensors():
    genes, _ = sampled()
    found = tensors(batched(genes))
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    assert shapes == {
        "positions": (20, 8, 3), "velocities": (20, 8, 3), "masses": (20, 8), "node_mask": (20, 8), "spring_indices": (20, 15, 2),
        "spring_params": (20, 15, 6),
    }  # fmt: skip
    assert found["node_mask"].dtype == torch.bool and found["spring_indices"].dtype == torch.int64
    absent = ~torch.from_numpy((batched(genes)["spring_params"] != 0).any(-1))
    assert (found["spring_indices"][absent] == 0).all()


def test_positions_follow_the_simulation():
    genes, rollout = sampled()
    rollout.reset()
    rollout.advance(100)
    state = rollout.state()
    found = tensors(batched(genes, state))
    assert np.array_equal(found["positions"].numpy(), np.swapaxes(state.position, 1, 2))


def test_tensors_share_memory_with_their_arrays():
    arrays = batched(sampled()[0])
    found = tensors(arrays)
    arrays["masses"][0, 0] = 42
    assert found["masses"][0, 0] == 42


def test_read_only_arrays_are_copied():
    array = np.ones(3)
    array.flags.writeable = False
    found = tensors({"x": array})["x"]
    found[0] = 2
    assert array[0] == 1


def test_what_is_no_number_is_refused():
    with pytest.raises(InputError, match="x has type"):
        tensors({"x": np.array(["a"])})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_device_is_a_sentence():
    with pytest.raises(MachineError, match="'cuda' cannot be used"):
        tensors({"x": np.ones(3)}, device="cuda")
