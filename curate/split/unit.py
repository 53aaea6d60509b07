"""A unit of the split pass: scan its sources, gather media in tars, commit with the clips table.

Media are appended as they are cut, so the unit's memory holds rows only. A source whose decoder dies is
rolled back to where it began in the tars and tried again; what it leaves behind in the end is a failure row
or a whole source, never half of one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import pyarrow as pa

from curate.commit import commit_unit, failure_row
from curate.executors.base import Progress
from curate.plan import PassPlan
from curate.records import Failure, Row, Source
from curate.sources.reading import check_unchanged
from curate.split.decoder import Broken, Decoder, DecoderDiedError, Limits, Refused
from curate.split.events import ClipCut, ClipLost, SourceScanned
from curate.split.stage import Split
from curate.spool import Ahead, Spool
from curate.tally import Tally
from curate.tasks import Done, Task
from curate.transfer import clip_error
from shards.errors import ClipError, InputError, SourceError, StageError, StorageError
from shards.run import PURGED, Purged
from shards.schemas import CLIPS, SHOTS, SOURCES
from shards.storage import Storage
from shards.tar import FileDigest, TarWriter

__all__ = ["SplitRunner"]

# A clip tar is closed when it has grown past this: large enough to list few, small enough to move.
TAR_BYTES = 2**30


@dataclass(slots=True)
class _Tables:
    """The rows of a unit so far."""

    sources: list[Row] = field(default_factory=list)
    shots: list[Row] = field(default_factory=list)
    clips: list[Row] = field(default_factory=list)
    signals: list[Row] = field(default_factory=list)
    failures: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a source began: what to roll back to."""

    tars: int
    media: int
    samples: int
    rows: tuple[int, int, int]


class Media:
    """The tars of a unit, in scratch until the commit."""

    def __init__(self, folder: Path, fp8: str, unit: str) -> None:
        self._folder = folder
        self._clips_path = f"clips/{fp8}/{unit}-{{}}.tar"
        self.samples_path = f"samples/{fp8}/{unit}.tar"
        self._tars = [TarWriter(folder / "0.tar")]
        self._samples = TarWriter(folder / "samples.tar")

    def add(self, clip: ClipCut) -> Row:
        """Append a clip and its samples; return its row, complete with where they lie."""
        if self._tars[-1].tell() >= TAR_BYTES:
            self._tars.append(TarWriter(self._folder / f"{len(self._tars)}.tar"))
        ident = str(clip.row["clip_id"])
        offset = self._tars[-1].add(f"{ident}.mp4", clip.media)
        digest = hashlib.sha256()
        offsets = []
        for number, sample in enumerate(clip.samples):
            offsets.append(self._samples.add(f"{ident}.s{number:03d}.jpg", sample.jpeg))
            digest.update(sample.jpeg)
        return {
            **clip.row,
            "tar": self._clips_path.format(len(self._tars) - 1),
            "offset": offset,
            "bytes": len(clip.media),
            "samples_tar": self.samples_path,
            "sample_times_s": [sample.time_s for sample in clip.samples],
            "sample_offsets": offsets,
            "sample_bytes": [len(sample.jpeg) for sample in clip.samples],
            "samples_sha256": digest.hexdigest(),
        }

    def mark(self, tables: _Tables) -> _Mark:
        """Return the present position."""
        rows = (len(tables.shots), len(tables.clips), len(tables.failures))
        return _Mark(len(self._tars), self._tars[-1].tell(), self._samples.tell(), rows)

    def roll_back(self, mark: _Mark, tables: _Tables) -> None:
        """Take back everything since `mark`."""
        for tar in self._tars[mark.tars :]:
            tar.close()
        del self._tars[mark.tars :]
        self._tars[-1].truncate(mark.media)
        self._samples.truncate(mark.samples)
        shots, clips, failures = mark.rows
        del tables.shots[shots:], tables.clips[clips:], tables.signals[clips:], tables.failures[failures:]

    def put(self, storage: Storage) -> dict[str, FileDigest]:
        """Close the tars and move those that hold something into the run; return path → digest."""
        files: dict[str, FileDigest] = {}
        closed = [(self._samples, "samples.tar", self.samples_path)]
        closed += [(t, f"{n}.tar", self._clips_path.format(n)) for n, t in enumerate(self._tars)]
        for tar, name, path in closed:
            members = tar.members
            digest = tar.close()
            if members:
                storage.put(self._folder / name, path)
                files[path] = digest
            else:
                storage.delete(path)
        return files


@dataclass(slots=True)
class _Unit:
    """A unit in the making."""

    task: Task
    report: Callable[[Progress], None]
    ahead: Ahead
    media: Media
    tables: _Tables = field(default_factory=_Tables)
    seconds: Tally = field(default_factory=Tally)
    counts: Tally = field(default_factory=Tally)


class SplitRunner:
    """Runs units of the split pass in a worker; keeps its decoder between them.

    Sources that were purged from the run are passed over, whatever their URI.
    """

    def __init__(
        self,
        pass_: PassPlan,
        storage: Storage,
        purged: Sequence[Purged] = (),
    ) -> None:
        self._pass = pass_
        self._storage = storage
        self._turn = threading.Lock()
        self._purged_uris = {uri for item in purged for uri in item.source_uris}
        self._purged_ids = {item.source_id for item in purged} - {None}
        split: Split = pass_.stages[0].cls(pass_.stages[0].options)
        self._signals_schema = split.signals_schema
        known = {*CLIPS.names, *self._signals_schema.names}
        carried = [field for field in pass_.schema if field.name not in known]
        self._carried = [field.name for field in carried]
        self._clips_schema = pa.schema([*CLIPS, *carried])
        limits = pass_.resources
        self._spool = Spool(limits.spool_bytes)
        self._decoder = Decoder(
            split.options, Limits(limits.stall_limit_s, limits.time_limit_s, limits.address_space)
        )

    def run(self, task: Task, report: Callable[[Progress], None]) -> Done:
        """Scan the unit's sources and commit it, unless the task is to try one source alone."""
        with self._storage.scratch() as folder:
            sources = [s for s in task.unit.sources if task.only in (None, s.uri)]
            ahead = Ahead(self._spool, [s for s in sources if self._is_read(s, task)], folder)
            unit = _Unit(task, report, ahead, Media(folder, self._pass.fp8, task.unit.id))
            try:
                # One decoder: units take turns. What they fetch before and store after overlaps.
                with self._turn:
                    for source in sources:
                        self._source(source, unit)
            finally:
                ahead.close()
            if task.only is not None:
                return Done({}, {})
            started_s = perf_counter()
            self._commit(unit)
            unit.seconds["store"] += perf_counter() - started_s
        unit.counts["rows"] = len(unit.tables.clips)
        unit.counts["video_s"] = sum(float(row["duration_s"]) for row in unit.tables.clips)
        unit.counts["media_bytes"] = sum(int(row["bytes"]) for row in unit.tables.clips)
        unit.counts["samples_bytes"] = sum(sum(row["sample_bytes"]) for row in unit.tables.clips)
        unit.counts["shots"] = len(unit.tables.shots)
        unit.counts["failures"] = len(unit.tables.failures)
        return Done(dict(unit.counts), dict(unit.seconds))

    def decoder_cpu_s(self) -> float:
        """Return the processor time that the decoder child has used."""
        return self._decoder.cpu_s()

    @property
    def decoder_pid(self) -> int:
        """Process id of the decoder child; 0 while there is none."""
        return self._decoder.pid

    def close(self) -> None:
        """End the decoder."""
        self._spool.close()
        self._decoder.close()

    def _is_read(self, source: Source, task: Task) -> bool:
        """Say whether anything of the source will be looked at."""
        passed_over = source.uri in self._purged_uris or source.uri in task.condemned
        return not passed_over and source.duplicate_of is None

    def _commit(self, unit: _Unit) -> None:
        tables, lost = unit.tables, int(unit.counts["clips_lost"])
        files = unit.media.put(self._storage)
        commit_unit(
            self._storage,
            self._pass,
            unit.task.unit.id,
            {
                "sources": (SOURCES, tables.sources),
                "shots": (SHOTS, tables.shots),
                "signals": (self._signals_schema, tables.signals),
                "clips": (self._clips_schema, tables.clips),
            },
            tables.failures,
            counts={"clips_in": len(tables.clips) + lost, "failed": lost, "not_admitted": 0},
            files=files,
        )

    def _source(self, source: Source, unit: _Unit) -> None:
        """Scan one source, trying again while its decoder dies; its row always comes out."""
        row: dict[str, object] = {
            **dict.fromkeys(SOURCES.names),
            "source_uri": source.uri,
            "bytes": source.bytes,
        }
        attempts, limit = 1, self._pass.resources.attempts
        failure = unit.task.condemned.get(source.uri)
        if source.uri in self._purged_uris:
            row["error"] = PURGED
            failure = None
        elif failure is not None:
            attempts = limit
        elif source.duplicate_of is not None:
            row["duplicate_of"] = source.duplicate_of
        else:
            mark = unit.media.mark(unit.tables)
            for attempts in range(1, limit + 1):  # noqa: B007
                try:
                    row |= self._scan(source, unit)
                    if row["source_id"] in self._purged_ids:
                        unit.media.roll_back(mark, unit.tables)
                        row["error"] = PURGED
                except (DecoderDiedError, ClipError) as exc:
                    unit.media.roll_back(mark, unit.tables)
                    died = isinstance(exc, DecoderDiedError)
                    failure = Failure("SourceError", str(exc)) if died else Failure.of(exc)
                    if died:
                        continue
                else:
                    failure = None
                break
        if failure is not None:
            row["error"] = failure.message
            self._fail(unit, source, None, failure, attempts)
        unit.tables.sources.append(row)
        unit.counts["sources"] += 1
        unit.report(Progress({"sources": 1}))

    def _scan(self, source: Source, unit: _Unit) -> Row:
        """Scan one source once; return what is known of it."""
        scanned: SourceScanned | None = None
        carried = dict(zip(self._carried, source.carried, strict=False))
        with _unchanged(source), unit.ahead.opened(source) as path:
            for message in self._decoder.scan(source.uri, path):
                match message:
                    case ClipCut():
                        started_s = perf_counter()
                        unit.tables.clips.append({**unit.media.add(message), **carried})
                        unit.tables.signals.append(message.signals)
                        unit.seconds["store"] += perf_counter() - started_s
                        video_s = float(message.row["duration_s"])
                        unit.report(Progress({"clips": 1, "video_s": video_s}))
                    case ClipLost():
                        unit.counts["clips_lost"] += 1
                        self._fail(unit, source, message.clip_id, message.failure, 1)
                    case Refused():
                        raise _error(message.failure)
                    case Broken():
                        raise StageError(f"the split pass cannot start: {message.message}")
                    case SourceScanned():
                        scanned = message
                    case _:
                        unit.report(Progress({}))
        if scanned is None:
            raise SourceError("the decoder ended without a word")
        unit.tables.shots.extend(scanned.shots)
        if scanned.damage is not None:
            self._fail(unit, source, None, Failure("SourceError", scanned.damage), 1)
        unit.seconds.add(scanned.seconds)
        unit.counts["frames"] += scanned.row["frames"]
        return scanned.row

    def _fail(
        self, unit: _Unit, source: Source, clip_id: str | None, failure: Failure, attempts: int
    ) -> None:
        stage = self._pass.stages[0].name
        unit.tables.failures.append(failure_row(unit.task, stage, source.uri, clip_id, failure, attempts))


def _error(failure: Failure) -> ClipError:
    """Return the error that a child met, as what it was."""
    error = type(failure.error, (SourceError,), {})(failure.message)
    assert isinstance(error, ClipError)
    return error


@contextmanager
def _unchanged(source: Source) -> Iterator[None]:
    """Refuse a source that is not what the plan saw, before or after it is read."""

    def check(when: str) -> None:
        try:
            same = check_unchanged(source)
        except OSError as exc:
            raise SourceError(f"cannot be read: {exc.strerror}") from exc
        except (InputError, StorageError) as exc:
            raise clip_error(exc) from exc
        if not same:
            raise SourceError(f"changed {when}; run again to take it as it is now")

    check("since the run was planned")
    yield
    check("while it was read")
