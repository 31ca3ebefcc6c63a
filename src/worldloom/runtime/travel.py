"""How a run travels: one .zip with everything, and .csv or .parquet with its individuals.

The .zip holds manifest.json (format, run, and each generation's digest, size and SHA-256) and one member for each generation, the
same bytes that a store keeps. Both ways go generation by generation, so memory does not grow with the run. An import looks at
everything before it writes anything; a run that is still arriving is listed nowhere until it is whole; an import that was killed is
continued by the next one of the same file. A run that was running arrives paused.
"""

import csv
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from worldloom.core.errors import InputError, MachineError, UnknownName
from worldloom.runtime.arrays import LIMIT, pack_rows, unpack_rows
from worldloom.runtime.lease import mark
from worldloom.runtime.record import IMPORTING, INTERRUPTED, PAUSED, QUEUED, RUNNING, Rows, Run, Summary, individual_name
from worldloom.runtime.store import Store, check_rows, plain_run

FORMAT, VERSION = "worldloom-run", 1
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 64 << 20  # bytes: some 300,000 generations
MEMBER_LIMIT = 1 << 30  # bytes of one generation as stored
DATE = (1980, 1, 1, 0, 0, 0)  # the same run gives the same file
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    OverflowError,
    OSError,
)
FIXED = ("generation", "individual", "fitness", "status", "parents", "streak")

Place = str | os.PathLike[str]


def export_run(store: Store, ref: str, path: Place) -> Run:
    """Writes a run to a .zip (everything), .csv or .parquet (its individuals), by the path's suffix; gives the run.

    The file appears whole or not at all. Raises UnknownName for a run or suffix, InputError for a path that cannot be written.
    """
    writers: dict[str, Callable[[Store, Run, Path], None]] = {".zip": _write_zip, ".csv": _write_csv, ".parquet": _write_parquet}
    target = Path(path)
    if target.suffix not in writers:
        raise UnknownName("kind of export", target.suffix, writers)
    run = store.run(ref)
    part = target.with_name(target.name + ".part")
    try:
        writers[target.suffix](store, run, part)
        os.replace(part, target)
    except OSError as error:
        raise InputError(
            f"Cannot write {target}: {error.strerror}. Expected a directory with room. Choose another place."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()
    return run


def import_run(store: Store, path: Place, *, limit: int = LIMIT) -> Run:
    """Adds the run of a .zip to a store; gives the run. limit: bytes of arrays that one generation may hold.

    A run that is there already with this content stays as it is. Raises InputError, and writes nothing, for a file that is damaged,
    cut short or something else, and for a run id that is taken by other content.
    """
    check_file(path, limit=limit)
    with _opened(path) as archive:
        run, listed = _manifest(archive, path)
        there = _find(store, run.id)
        if there is not None and there.status != IMPORTING:
            _check_same(there, run, store.generations(run.id), listed)
            return there
        arriving = replace(run, status=IMPORTING)
        if there is not None and (there != arriving or not _begins(listed, store.generations(run.id))):
            store.remove(run.id)
        store.create(arriving)
        for rows in _generations(archive, listed, path, limit):
            store.append(run.id, rows.generation, rows)
    mark(store, run.id, run.status)
    return store.run(run.id)


def check_file(path: Place, *, limit: int = LIMIT) -> Run:
    """The run that a .zip holds, after reading all of it. Raises InputError for a file that is damaged, cut short or something else."""
    with _opened(path) as archive:
        run, listed = _manifest(archive, path)
        count = 0
        for rows in _generations(archive, listed, path, limit):
            _check_parents(rows, count, path)
            count = len(rows.keys)
    return run


def _write_zip(store: Store, run: Run, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # the members are compressed already
        listed = []
        for summary in store.generations(run.id):
            blob = pack_rows(store.rows(run.id, summary.generation))
            archive.writestr(zipfile.ZipInfo(_member(summary.generation), DATE), blob)
            entry = {
                "generation": summary.generation,
                "digest": summary.digest,
                "bytes": len(blob),
                "sha256": sha256(blob).hexdigest(),
            }
            listed.append(entry)
        manifest = {"format": FORMAT, "version": VERSION, "run": asdict(run), "generations": listed}
        archive.writestr(zipfile.ZipInfo(MANIFEST, DATE), json.dumps(manifest, indent=1))


def _member(generation: int) -> str:
    return f"generations/{generation:06d}.loom"


def _damaged(path: Place, why: str) -> InputError:
    expected = "Expected a whole file from `loom export`. Export it again; nothing was imported."
    return InputError(f"{os.fspath(path)} cannot be imported: {why}. {expected}")


@contextmanager
def _opened(path: Place) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise InputError(
            f"Cannot read {os.fspath(path)}: {error.strerror}. Expected a file from `loom export`. Check the path."
        ) from None
    except DAMAGE:
        raise _damaged(path, "it is cut short, or no .zip") from None
    with archive:
        yield archive


def _read(archive: zipfile.ZipFile, name: str, limit: int, path: Place) -> bytes:
    """One member, of which never more than limit + 1 bytes are unpacked."""
    try:
        with archive.open(name) as member:
            data = member.read(limit + 1)
    except DAMAGE:
        raise _damaged(path, f"its {name} is missing or damaged") from None
    if len(data) > limit:
        raise _damaged(path, f"its {name} is larger than {limit} bytes")
    return data


def _manifest(archive: zipfile.ZipFile, path: Place) -> tuple[Run, list[dict[str, Any]]]:
    """The run, and what is listed of each generation, once all names and numbers are as they must be."""
    try:
        manifest = json.loads(_read(archive, MANIFEST, MANIFEST_LIMIT, path))
        if manifest["format"] != FORMAT:
            raise _damaged(path, f"its format is {str(manifest['format'])[:40]!r}, not {FORMAT!r}")
        if manifest["version"] != VERSION:
            raise InputError(
                f"{os.fspath(path)} has format version {manifest['version']!r:.20}. Expected {VERSION}. Upgrade worldloom."
            )
        listed = [_entry(k, entry) for k, entry in enumerate(manifest["generations"])]
        run = _run(manifest["run"])
    except InputError:
        raise
    except DAMAGE:
        raise _damaged(path, "its manifest is damaged") from None
    if sorted(archive.namelist()) != sorted([MANIFEST, *(_member(k) for k in range(len(listed)))]):
        raise _damaged(path, "its members are not those that its manifest lists")
    return run, listed


def _entry(generation: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    size = entry["bytes"]
    good = entry["generation"] == generation and isinstance(size, int) and 0 <= size <= MEMBER_LIMIT
    if not (good and all(re.fullmatch("[0-9a-f]{64}", entry[name]) for name in ("digest", "sha256"))):
        raise ValueError(generation)
    return dict(entry)


def _run(record: Mapping[str, Any]) -> Run:
    """The run of a manifest, every field of its type."""
    texts, numbers, mappings = ("id", "name", "world", "status", "created_at"), ("world_version", "seed"), ("config", "versions")
    kinds: dict[str, Any] = dict.fromkeys(texts, str) | dict.fromkeys(numbers, int) | dict.fromkeys(mappings, dict)
    kinds |= {"parent_run": str | None, "parent_generation": int | None, "target": int | None, "error": str}
    if set(record) != {one.name for one in fields(Run)} or not all(isinstance(record[name], kind) for name, kind in kinds.items()):
        raise ValueError("run")
    if record["status"] in (QUEUED, RUNNING, INTERRUPTED, IMPORTING):  # nobody executes it where it arrives
        record = {**record, "status": PAUSED}
    return plain_run(Run(**record))


def _generations(archive: zipfile.ZipFile, listed: list[dict[str, Any]], path: Place, limit: int) -> Iterator[Rows]:
    for generation, entry in enumerate(listed):
        blob = _read(archive, _member(generation), entry["bytes"], path)
        if sha256(blob).hexdigest() != entry["sha256"]:
            raise _damaged(path, f"the checksum of generation {generation} does not fit")
        try:
            rows = unpack_rows(blob, limit=limit)
            check_rows(generation, rows)
        except InputError as error:
            raise _damaged(path, f"generation {generation}: {str(error).partition('. ')[0]}") from None
        if rows.digest != entry["digest"]:
            raise _damaged(path, f"the digest of generation {generation} does not fit")
        yield rows


def _check_parents(rows: Rows, before: int, path: Place) -> None:
    if rows.parents.size and not (rows.parents.min() >= -1 and rows.parents.max() < before):
        raise _damaged(path, f"generation {rows.generation} names parents that the one before does not have")


def _find(store: Store, run_id: str) -> Run | None:
    try:
        run = store.run(run_id)
    except InputError:  # unknown, or the beginning of several
        return None
    return run if run.id == run_id else None


def _begins(listed: list[dict[str, Any]], chain: list[Summary]) -> bool:
    return [one.digest for one in chain] == [entry["digest"] for entry in listed[: len(chain)]]


def _check_same(there: Run, run: Run, chain: list[Summary], listed: list[dict[str, Any]]) -> None:
    """Raises unless all that the file holds is there already; the run may have gone on since."""
    if replace(there, status=run.status, target=run.target, error=run.error) != run or [
        one.digest for one in chain[: len(listed)]
    ] != [one["digest"] for one in listed]:
        raise InputError(f"Run {run.id!r} is there already with other content. Expected the same, or none. Use another store.")


def _tables(store: Store, run: Run) -> Iterator[dict[str, Any]]:
    """The individuals of each generation as columns; parents are names, such as '11-40 11-7'."""
    for summary in store.generations(run.id):
        rows = store.rows(run.id, summary.generation)
        count, outcome = len(rows.keys), rows.outcome
        extra = {name: array for name, array in outcome.items() if array.ndim == 1 and name not in ("fitness", "status")}
        yield {
            "generation": [rows.generation] * count, "individual": list(range(count)), "fitness": outcome["fitness"],
            "status": outcome["status"], "parents": _parent_names(rows), "streak": rows.streak,
        } | {f"outcome_{name}" if name in FIXED else name: array for name, array in extra.items()}  # fmt: skip


def _parent_names(rows: Rows) -> list[str]:
    before = rows.generation - 1
    return [" ".join(individual_name(before, parent) for parent in pair if parent >= 0) for pair in rows.parents.tolist()]


def _listed(column: list[Any] | NDArray[Any]) -> list[Any]:
    return column if isinstance(column, list) else column.tolist()


def _write_csv(store: Store, run: Run, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        header: list[str] = []
        for table in _tables(store, run):
            if not header:
                header = list(table)
                writer.writerow(header)
            writer.writerows(zip(*(_listed(table[name]) for name in header), strict=True))
        if not header:
            writer.writerow(FIXED)


def _write_parquet(store: Store, run: Run, path: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MachineError(
            "Parquet needs pyarrow, which is missing. Run: pip install 'worldloom[table]', or export to .csv."
        ) from None
    tables = (pyarrow.table(table) for table in _tables(store, run))
    if (first := next(tables, None)) is None:
        raise InputError(f"Run {run.id!r} has no generation yet. Expected at least one. Resume it with `loom resume {run.id}`.")
    with parquet.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
