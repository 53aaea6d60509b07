"""The tree of errors that every package raises.

CurateError                      what the program cannot go on from; the CLI prints one line and exits
├── ConfigError                  a pipeline, option or argument is wrong (exit 2)
├── InputError                   an input path, table or selection is wrong or missing (exit 2)
├── StorageError                 reading or writing a run failed: disk full, permission (exit 1)
├── ServiceError                 a service that the run needs is gone, or wants no more (exit 1)
├── IntegrityError               bytes on disk are not what a table says (exit 1)
├── StageError                   a stage broke its contract or crashed (exit 1)
└── SpikeError                   a captioner says the same of too many clips (exit 1)
ClipError                        what is wrong with one source or clip; becomes a failure row
├── SourceError                  a source cannot be read, or not to its end
├── TransferError                a source's store does not answer; another day it may
├── DecodeLimitError             a source took more time or memory than it is allowed
└── CutError                     a span could not be cut out of its source

A `CurateError` message says what, where (a path, a YAML path, a clip) and what to do about it, in one line.
A `ClipError` never leaves the worker that met it: its class name and message are the failure row.
"""

from __future__ import annotations

__all__ = [
    "ClipError",
    "ConfigError",
    "CurateError",
    "CutError",
    "DecodeLimitError",
    "InputError",
    "IntegrityError",
    "ServiceError",
    "SourceError",
    "SpikeError",
    "StageError",
    "StorageError",
    "TransferError",
    "WorkerLostError",
]


class CurateError(Exception):
    """What the program cannot go on from."""

    exit_code = 1


class ConfigError(CurateError):
    """A pipeline, option or argument is wrong."""

    exit_code = 2


class InputError(CurateError):
    """An input path, table or selection is wrong or missing."""

    exit_code = 2


class StorageError(CurateError):
    """Reading or writing a run failed."""


class IntegrityError(CurateError):
    """Bytes on disk are not what a table says."""


class ServiceError(CurateError):
    """A service that the run needs is gone for longer than is waited, or wants no more."""


class StageError(CurateError):
    """A stage broke its contract or crashed: the program is wrong, not the clip."""


class SpikeError(CurateError):
    """A captioner says the same of too many clips."""


class WorkerLostError(StageError):
    """What a worker holds has died (an inference engine): it ends, and another one tries the unit again."""


class ClipError(Exception):
    """What is wrong with one source or clip; becomes a failure row."""


class SourceError(ClipError):
    """A source cannot be read, or not to its end."""


class TransferError(ClipError):
    """A source's store does not answer."""


class DecodeLimitError(ClipError):
    """A source took more time or memory than it is allowed."""


class CutError(ClipError):
    """A span could not be cut out of its source."""
