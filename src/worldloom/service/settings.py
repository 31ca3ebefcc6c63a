"""What a service is told at its start, and the limits that it holds to."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a service runs. token '' means that nobody is asked for one: tests only, `loom serve` always has one.

    names: what the Host header may say besides addresses of this machine. arrays: beginnings of the paths whose bodies hold arrays.
    threads: of one batch.
    """

    token: str = ""
    arrays: tuple[str, ...] = ("/api/simulation/", "/api/genetics/")
    names: tuple[str, ...] = ()
    threads: int = 1
    body_bytes: int = 8 * MIB
    order_bytes: int = MIB // 16  # of a body without arrays: it is checked on the event loop, where 8 MiB of wrong names took 4 s
    items: int = 4096
    seconds: float = 30.0  # of one request
    patience: float = 1.0  # s of work that may wait before requests are refused
    poll: float = 0.2  # s between two looks at a run whose events somebody follows
