"""What a run was made with: results are promised to be the same under the same world version, and were seen to be under these."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from worldloom.core.world import World

KEY_SCHEME = "philox4x32-10/1"  # how keys are folded and drawn from; another scheme would be another number


def versions(world: World) -> dict[str, Any]:
    """Versions of Worldloom, the key scheme, NumPy and Numba, the CPU, and a digest of the code that computes the world."""
    from llvmlite import binding

    from worldloom.core.cache import source_digest, sources

    features = binding.get_host_cpu_features()
    return {
        "worldloom": version("worldloom"),
        "keys": KEY_SCHEME,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "machine": platform.machine(),
        "cpu": binding.get_host_cpu_name(),
        "code": source_digest(sources([world.reset, world.step, world.finish]) or [])[:16],
        "cpu_features": sorted(name for name in ("avx2", "avx512f", "fma", "neon", "sse4.2") if features.get(name)),
    }


def differences(stored: Mapping[str, Any], world: World) -> list[str]:
    """What is different here from when a run was made: 'numba 0.68.1 then, 0.69.0 now'. code: of the world, or of the core."""
    present = versions(world)
    return [
        f"{name} {stored[name]} then, {present[name]} now" for name in present if name in stored and stored[name] != present[name]
    ]
