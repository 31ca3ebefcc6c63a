"""Calls: requests to a service and their answers — sent, waited for, sent again where that is safe, and read with distrust.

    429, 503             the service is busy: asked again as Retry-After says, until `patience` is over
    a broken connection  a GET is sent once more; anything else may have been carried out already, and is left to the caller
    a problem document   an error of core/errors.py, with the service's own sentence
    anything else        one error that says what came instead

The client's half of wire.py, which needs the web framework; this needs httpx only. The token is in the headers and nowhere else.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from math import isfinite
from typing import Any, TypeVar
from urllib.parse import quote
from zlib import crc32

import httpx
import numpy as np
import orjson
from pydantic import BaseModel, ValidationError

from worldloom.core.errors import (
    BusyError,
    InputError,
    JobError,
    MachineError,
    StateError,
    StoreError,
    UnknownName,
    WorldloomError,
)
from worldloom.runtime.arrays import SENT, pack
from worldloom.service.forms import BINARY, EVENTS, JSON, PROBLEM, split, unpacked

TOKEN = "WORLDLOOM_TOKEN"  # environment variable
UNPACKED = 4 << 30  # bytes of arrays in one answer
KEEP_ALIVE = 4.0  # s that a connection may idle: servers close theirs after 5, and a POST must not meet that moment
LEAST_PAUSE, MOST_PAUSE = 0.1, 5.0  # s between two attempts, where Retry-After says less
BUSY, GATEWAY = (429, 503), (502, 504)  # statuses
LONGEST = 2000  # letters of a sentence that is passed on

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Document = dict[str, Any]


class NotThere(UnknownName):
    """What a path names does not exist; the sentence is the service's."""

    def __init__(self, sentence: str, path: str = "") -> None:
        super(UnknownName, self).__init__(sentence)
        self.kind, self.name, self.nearest = "path", path, None


class Away(MachineError):
    """A proxy says that the service behind it does not answer."""


class Calls:
    """The connections to one service. Threads may share them."""

    def __init__(self, url: str, token: str | None, *, timeout: float, patience: float) -> None:
        self.address, found = address_of(str(url))
        self.patience = seconds("patience", patience, least=0.0)
        self.timeout = seconds("timeout", timeout, least=0.001)
        word = usable(found or os.environ.get(TOKEN, "") if token is None else token)
        # TLS is set up only where it is spoken: reading the certificates takes 20 ms. A proxy cannot reach this machine's own address.
        self._http = httpx.Client(
            base_url=self.address, headers={"authorization": f"Bearer {word}"} if word else {}, timeout=self.timeout,
            verify=self.address.startswith("https:"), trust_env=not on_this_machine(self.address),
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE),
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: tuple[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: str = JSON,
    ) -> httpx.Response:
        """The answer to a request. params that are None are left out; body: (content type, content).

        Raises as `refusal` says; MachineError where no service answers; InputError once the connections are closed.
        """
        told = {**asking_for(accept), **({"content-type": body[0]} if body else {}), **(headers or {})}
        request = self._http.build_request(
            method, path, params=given(params), headers=told, content=body[1] if body else None
        )  # fmt: skip
        until, attempts = time.monotonic() + self.patience, 0
        while (response := self._sent(request)).status_code in BUSY:
            pause = pause_after(response, attempts)
            if time.monotonic() + pause > until:
                break
            time.sleep(pause)
            attempts += 1
        if response.status_code >= 300 and response.status_code != 304:
            raise refusal(response)
        return response

    def _sent(self, request: httpx.Request) -> httpx.Response:
        self._check_open()
        attempts = 2 if request.method == "GET" else 1
        while True:
            attempts -= 1
            try:
                return self._http.send(request)
            except httpx.DecodingError:
                raise foreign(place_of(request), "damaged compression") from None
            except httpx.TransportError as error:
                if not attempts or isinstance(error, httpx.ConnectError | httpx.TimeoutException):
                    raise self.trouble(error, request) from None

    @contextmanager
    def stream(self, path: str, *, params: Mapping[str, Any], headers: Mapping[str, str], quiet: float) -> Iterator[httpx.Response]:
        """The answer to a GET while it comes in. quiet: s without a word until the connection counts as broken.

        Raises what httpx raises, and what `refusal` says.
        """
        self._check_open()
        told = {**asking_for(EVENTS), **headers}
        timeout = httpx.Timeout(self.timeout, read=max(quiet, self.timeout))
        with self._http.stream("GET", path, params=given(params), headers=told, timeout=timeout) as response:
            if response.status_code != 200:
                response.read()
                raise refusal(response)
            check_kind(response, EVENTS)
            try:
                yield response
            except httpx.DecodingError:
                raise foreign(place_of(response), "damaged compression") from None

    def trouble(self, error: httpx.TransportError, request: httpx.Request | None = None) -> MachineError:
        """What a broken connection means for the caller."""
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return MachineError(
                f"No service answers at {self.address}. Expected one. Start it with `loom serve`, or give its address."
            )
        repeated = "" if request is None or request.method == "GET" else " It may have been carried out."
        if isinstance(error, httpx.TimeoutException):
            return MachineError(
                f"The service at {self.address} said nothing for {self.timeout:g} s.{repeated} Expected an answer. Give a longer timeout."
            )
        return MachineError(
            f"The connection to {self.address} broke before the answer was whole.{repeated} Expected all of it. Ask again."
        )

    def _check_open(self) -> None:
        if self._http.is_closed:
            raise InputError("This client is closed. Expected an open one. Make a new Client.")


# ---- what is sent ----------------------------------------------------------------------------------------------------------------


def address_of(url: str) -> tuple[str, str]:
    """(address of a service, token) from the URL that `loom serve` prints, or one without a token. Raises InputError for others."""
    shown = url.partition("?")[0].partition("#")[0].rpartition("@")[2]  # none of the places where a secret may be
    try:
        parsed = httpx.URL(url)
        token = parsed.params.get("token", "")
    except (httpx.InvalidURL, UnicodeError):
        parsed, token = httpx.URL(""), ""
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or (parsed.port or 0) >= 2**16:
        raise InputError(
            f"The address {shown!r} cannot be used. Expected http:// or https://, a host and a port. Give what `loom serve` printed."
        )
    path = parsed.path.rpartition("/")[0] if token else parsed.path.rstrip("/")  # with a token it is a page's address
    return str(parsed.copy_with(path=path, query=None, fragment=None)).rstrip("/"), token


def usable(token: str) -> str:
    """The token. Raises InputError, without showing it, for what no header can carry: httpx would put it into its own error."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError("The token cannot be used. Expected ASCII signs without spaces. Give the one that `loom serve` printed.")
    return token


def seconds(name: str, value: float, *, least: float) -> float:
    """A time in s. Raises InputError for what is none."""
    if not (isinstance(value, int | float) and isfinite(value) and value >= least):
        raise InputError(f"{name} = {value!r} is no time to wait. Expected seconds, {least:g} or more. Correct it.")
    return float(value)


def on_this_machine(address: str) -> bool:
    """Whether an address is one that only this machine has."""
    host = httpx.URL(address).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def path_of(*parts: str) -> str:
    """The path of an endpoint; names in it may have any letters. Raises InputError for a name without any."""
    for part in parts:
        if not isinstance(part, str) or not part.strip("."):
            raise InputError(f"{part!r} is no name of anything. Expected the name or id of a world, run or individual. Give it.")
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def given(values: Mapping[str, Any] | None) -> Document:
    """The values that are not None."""
    return {name: value for name, value in (values or {}).items() if value is not None}


def asking_for(accept: str) -> dict[str, str]:
    """Headers that ask for a form. Arrays and events come as they are: compressing floats takes longer than sending them."""
    return {"accept": f"{accept}, {PROBLEM}", "accept-encoding": "gzip" if accept == JSON else "identity"}


def as_json(document: Mapping[str, Any]) -> bytes:
    """Plain values, NumPy's among them, as JSON. Raises InputError for anything else."""
    try:
        return orjson.dumps(document, default=_plain)
    except TypeError as error:
        raise InputError(f"The request cannot be written as JSON: {error}. Expected numbers and texts. Convert it.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is neither")


def sent(document: Mapping[str, Any]) -> tuple[str, bytes]:
    """(content type, content) of a document with arrays and groups of arrays. Raises InputError for what cannot be sent."""
    plain, arrays = split(document)
    return BINARY, pack(arrays, meta=orjson.loads(as_json(plain)), form=SENT)


# ---- what comes back -------------------------------------------------------------------------------------------------------------


def document_of(response: httpx.Response, accept: str = JSON) -> Document:
    """What an answer says, in the form that was asked for. Raises MachineError for anything else."""
    check_kind(response, accept)
    if accept == BINARY:
        return in_blocks(response, unpacked)
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise foreign(place_of(response), "broken JSON") from None
    if not isinstance(document, dict):
        raise foreign(place_of(response), f"a JSON {type(document).__name__}")
    return document


def in_blocks(response: httpx.Response, read: Callable[..., T]) -> T:
    """What a function reads from an answer in bytes. Raises MachineError where they are damaged."""
    try:
        return read(response.content, limit=UNPACKED)
    except StoreError:
        raise foreign(place_of(response), "damaged arrays") from None


def record(model: type[Model], document: Document, place: str) -> Model:
    """A document as a model. Raises MachineError where it is of another form."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors()[0]["loc"])[:80] or "all of it"
        raise foreign(place, f"no {model.__name__} ({wrong}), perhaps of another version") from None


def check_kind(response: httpx.Response, wanted: str) -> None:
    """Raises MachineError for an answer of another content type."""
    if kind_of(response) != wanted:
        raise foreign(place_of(response), f"{kind_of(response)[:80] or 'nothing'} instead of {wanted}")


def kind_of(response: httpx.Response) -> str:
    """The content type of an answer, without its parameters."""
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def place_of(sent: httpx.Request | httpx.Response) -> str:
    """What was asked, as errors name it."""
    request = sent.request if isinstance(sent, httpx.Response) else sent
    return f"{request.method} {request.url.copy_with(query=None)}"


def foreign(place: str, what: str, kind: type[MachineError] = MachineError) -> MachineError:
    """The error for an answer that no service of ours gives. What it says is not repeated: nobody knows who wrote it."""
    return kind(
        f"{place} was answered with {what}. Expected the answer of a Worldloom service. Check the address, and what stands between."
    )


def refusal(response: httpx.Response) -> WorldloomError:
    """The error that an answer of status 300 and above stands for.

    404 UnknownName; 409 StateError; 429 BusyError; 501 MachineError; 503 StoreError; other 5xx JobError; other 4xx InputError.
    """
    status, detail = response.status_code, sentence_of(response)
    if status < 400 or (detail is None and status not in BUSY):
        return foreign(place_of(response), f"{status} and no reason", Away if status in GATEWAY else MachineError)
    detail = detail or f"{place_of(response)} was answered with {status}. Expected a service with less to do. Ask again later."
    if status == 404:
        return NotThere(detail, response.request.url.path)
    if status == 429:
        return BusyError(detail, retry_after(response))
    by_status: dict[int, type[WorldloomError]] = {409: StateError, 501: MachineError, 503: StoreError}
    return by_status.get(status, JobError if status >= 500 else InputError)(detail)


def sentence_of(response: httpx.Response) -> str | None:
    """The sentence of a problem document; None where the answer is none."""
    if kind_of(response) != PROBLEM:
        return None
    try:
        detail = orjson.loads(response.content)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return detail[:LONGEST] if isinstance(detail, str) else None


def retry_after(response: httpx.Response) -> float:
    """When to ask again, s; 1 where the answer does not say."""
    said = response.headers.get("retry-after", "").strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 10 else 1.0


def pause_after(response: httpx.Response, attempts: int) -> float:
    """How long to wait before the next attempt, s: as the answer says, a little longer each time, up to a tenth more.

    The tenth is another one in each process, so that those refused together do not come back together.
    """
    return max(retry_after(response), backoff(attempts)) * (1 + crc32(f"{os.getpid()} {attempts}".encode()) % 100 / 1000)


def backoff(attempts: int) -> float:
    """s to wait after some attempts without success."""
    return min(LEAST_PAUSE * 2.0 ** min(attempts, 10), MOST_PAUSE)
