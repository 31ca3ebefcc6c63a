"""Owner: what a process that executes a run is called, and whether such a process is gone.

"host:pid@place.birth": place tells one running system and its process numbers from another, birth one process from a later one of the
same number. So a run whose process died on this machine need not wait for the end of its lease.
"""

import os
import socket
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

PROC = Path("/proc")  # Linux; elsewhere a process is never known to be gone, and leases run out


def own_name() -> str:
    """The name of this process."""
    return f"{socket.gethostname()}:{os.getpid()}@{place()}.{birth(os.getpid()) or 0}"


def gone(owner: str | None) -> bool:
    """Whether a process is known to have ended: one of this system that is not there any more. False for all others."""
    name, _, mark = (owner or "").rpartition("@")
    where, _, born = mark.partition(".")
    pid = name.rpartition(":")[2]
    return bool(where and where == place() and pid.isdecimal() and birth(int(pid)) != born)


@lru_cache(maxsize=1)
def place() -> str:
    """This running system and its process numbers; "" where that cannot be told."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        numbers = os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""
    return blake2b(f"{boot} {numbers}".encode(), digest_size=4).hexdigest()


def birth(pid: int) -> str | None:
    """When a process began, in ticks since the system did; None for one that is not there, or that is dead and not yet buried."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else after_name[19]
