"""What a world is written with: `from worldloom.core import Field, World, lane_code, where, sin, uniform`.

Names are loaded when first used, so that reading a record does not wait for Numba.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "inner": "dot",
    "elementary": "atan atan2 cbrt cos exp exp2 inverse_sqrt log log2 normal_pair pow sin sincos sincos_turns tan tanh tanh_net tanh_rough",
    "elements": "extent scratch scratch_like",
    "errors": "InputError UnknownName WorldAuthorError",
    "field": "Field",
    "frame": "Lines Points Table Text",
    "genome": "Genome",
    "integrate": "crossing hermite leapfrog rk4 semi_implicit",
    "keys": "below fold integers normal normals permutation run_key uniform uniforms",
    "lane_types": "lane_code",
    "lanes": "any_lane bitcast cast floor like maximum minimum sqrt where",
    "nets": "dense lif linear relu",
    "policy": "Policy",
    "rollout": "Batch Rollout",
    "world": "Mode Size Status World",
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'worldloom.core' has no attribute {name!r}")
    return getattr(import_module(f"worldloom.core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
