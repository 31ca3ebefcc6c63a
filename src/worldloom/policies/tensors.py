"""Arrays as torch tensors that share their memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError, MachineError

if TYPE_CHECKING:
    import torch


def tensors(arrays: Mapping[str, NDArray[Any]], *, device: str = "cpu") -> "dict[str, torch.Tensor]":
    """Tensors by name, such as those of `worlds.creatures.view.batched`: on the CPU no number is copied, on another device all are.

    An array that is read-only, as those from a store are, is copied, because torch knows no such tensors.
    Raises MachineError without torch or the device, InputError for arrays that are not numbers.
    """
    try:
        import torch
    except ImportError:
        raise MachineError("Tensors need torch, which is missing. Run: pip install 'worldloom[torch]'.") from None
    found = {}
    for name, array in arrays.items():
        shared = array if array.flags.writeable else np.array(array)
        try:
            found[name] = torch.from_numpy(shared)
        except TypeError:
            raise InputError(
                f"{name} has type {array.dtype}, which torch does not know. Expected numbers or truth values."
            ) from None
    if device == "cpu":
        return found
    try:
        return {name: tensor.to(device) for name, tensor in found.items()}
    except (RuntimeError, AssertionError) as error:
        raise MachineError(f"Device {device!r} cannot be used: {error}. Expected cpu, or cuda where there is a GPU.") from None
