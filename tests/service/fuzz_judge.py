"""What every answer has to be, whatever was asked."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worldloom.service.problems import PROBLEM
from worldloom.service.wire import BINARY, document_of

SLOWEST = 3.0  # s, on a machine that others use too; nearly all take less than 0.1
LONGEST = 2000  # characters of a sentence
NO_HTTP = b"Invalid HTTP request received. Expected"  # refused before the application sees it: it is no request
CLOTHES = {
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "", "cache-control": "", "x-request-id": "", "server-timing": "total;dur=",
}  # fmt: skip
WANTED = re.compile(r"\b[Ee]xpected |\bKnown: |\bIts generations: ")  # what a sentence says after what was wrong
INSIDES = re.compile(r"Traceback|File \"|\.py\b|0x[0-9a-f]{6,}|site-packages|asyncpg|sqlalchemy|pydantic")
QUOTED = re.compile(r"'[^']*'")
BUSY = (429, 503)
STOPPED = b"The request was stopped after "  # the only way in which a service whose store is well may answer 503


@dataclass
class Judge:
    """Counts answers, and keeps the first of each kind of fault with the request that shows it."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)  # by operation and status
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def asked(self) -> int:
        """How many requests were answered."""
        return self.answers.total()

    def count(self, *statuses: int) -> int:
        """How many answers had one of these statuses."""
        return sum(count for (_, status), count in self.answers.items() if status in statuses)

    def share(self) -> float:
        """The share of answers that were successes."""
        return sum(count for (_, status), count in self.answers.items() if status < 400) / max(1, self.asked)

    def hear(self, what: str, status: int, headers: Mapping[str, str], body: bytes, *, seconds: float = 0.0, request: str) -> None:
        """One answer to an operation. request: how to ask again."""
        self.answers[what, status] += 1
        self.slowest = max(self.slowest, seconds)
        found = [*faults(status, headers, body)]
        if seconds > SLOWEST:
            found.append(f"took {seconds:.1f} s")
        for fault in found:
            self.blame(what, fault, f"{request}\n    -> {status} {body[:300]!r}")

    def blame(self, what: str, fault: str, shown: str) -> None:
        """A fault of an operation."""
        self.faults.setdefault((what, fault), shown)

    def told(self) -> str:
        """All faults, for people."""
        return "\n".join(f"{what}: {fault}\n  {shown}" for (what, fault), shown in self.faults.items())

    def table(self) -> str:
        """Requests and statuses, an operation in a line."""
        lines = []
        for what in sorted({what for what, _ in self.answers}):
            found = {status: count for (operation, status), count in sorted(self.answers.items()) if operation == what}
            total, good = sum(found.values()), sum(count for status, count in found.items() if status < 400)
            lines.append(f"{what:60} {total:6} {good / total:5.0%}  {found}")
        return "\n".join([*lines, f"{'all':60} {self.asked:6} {self.share():5.0%}  slowest {self.slowest:.2f} s"])


def faults(status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What is wrong with an answer. Names of headers in small letters."""
    found = [f"status {status}"] if not 200 <= status < 500 and not (status == 503 and STOPPED in body) else []
    worn = {name: value for name, value in CLOTHES.items() if not (NO_HTTP in body and name in ("x-request-id", "server-timing"))}
    found += [f"header {name} is missing" for name, value in worn.items() if name not in headers or value not in headers[name]]
    found += ["no Retry-After"] if status in BUSY and not headers.get("retry-after", "").isdigit() else []
    if any(name.startswith("access-control-") for name in headers):
        found.append("opened to other origins")
    if body and status >= 400:
        found += faults_of_problem(status, headers, body)
    elif body and headers.get("content-type", "") == BINARY:
        found += faults_of_arrays(body)
    return found


def faults_of_problem(status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What is wrong with a refusal."""
    if headers.get("content-type") != PROBLEM:
        return [f"refusal as {headers.get('content-type')}"]
    said = json.loads(body)
    if set(said) != {"title", "status", "detail"} or said["status"] != status:
        return [f"another document than a problem: {sorted(said)}"]
    detail = said["detail"]
    found = [] if WANTED.search(detail) and len(detail) > 30 else ["a sentence that does not say what was expected"]
    found += [f"a sentence of more than {LONGEST} characters"] if len(detail) > LONGEST else []
    own = QUOTED.sub("", detail).partition("Known: ")[0]  # without what the request itself said, and names of runs
    return found + (["insides of the service in the sentence"] if INSIDES.search(own) else [])


def faults_of_arrays(body: bytes) -> list[str]:
    """What is wrong with a document as bytes."""
    try:
        return [] if document_of(BINARY, body) else ["bytes without a document"]
    except ValueError as error:
        return [f"bytes that are no document: {error}"]
