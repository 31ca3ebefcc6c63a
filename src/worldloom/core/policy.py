"""Policy: something outside the kernel that turns observations into actions, for many lanes at once."""

from typing import Any, Protocol

from numpy.typing import NDArray

Memory = Any  # whatever a policy carries from step to step; None for one without memory


class Policy(Protocol):
    """Batched: one genome of weights for each lane.

    size: numbers in one genome. act: weights [lane, size], obs [lane, *observation] -> action [lane, *action].
    A lane's action must depend on its own row alone, bit for bit.
    """

    size: int

    def start(self, lanes: int) -> Memory:
        """Memory before the first step."""

    def act(self, weights: NDArray[Any], memory: Memory, obs: NDArray[Any]) -> tuple[NDArray[Any], Memory]:
        """Actions of all lanes, and the memory for the next step."""
