"""The command line: reads arguments, calls the pipeline, prints. Nothing else in the project prints.

Exit codes: 0 done; 1 failed; 2 bad configuration or input; 3 done, with more failures than allowed; 130
interrupted. What a user did wrong is one line on standard error.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType

import typer

from curate.cli import bench, footage, maintain, run, select
from curate.driver import RunFailedError
from curate.registry import known, resolve
from shards.errors import CurateError

__all__ = ["app", "main"]

app = typer.Typer(
    name="curate",
    help="Raw video in; single-shot, scored, captioned training shards out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
run.register(app)
select.register(app)
maintain.register(app)
footage.register(app)
for _name in known("benchmark"):
    bench.app.command(_name)(resolve("benchmark", _name))
app.add_typer(bench.app, name="bench")
# `caption`, and later others: packages that this one doesn't import.
for _name in known("command"):
    app.add_typer(resolve("command", _name), name=_name)

USAGE = 2
INTERRUPTED = 130

# What typer raises for wrong arguments; it exports the leaves of that tree and not its root.
_UsageProblem: type[Exception] = typer.BadParameter.__mro__[2]


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(
        level=os.environ.get("CURATE_LOG", "WARNING"), format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        code = app(standalone_mode=False)  # an interrupt comes back as the code 130
    except CurateError as exc:
        if isinstance(exc, RunFailedError) and exc.trace:
            sys.stderr.write(exc.trace)
        _complain(str(exc))
        code = exc.exit_code
    except _UsageProblem as exc:
        _complain(f"{exc.format_message()}; see `curate --help`")  # type: ignore[attr-defined]
        code = USAGE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has left: nothing to tell it, nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if code == INTERRUPTED:
        _complain("interrupted; run the same command again to go on")
        sys.stdout.flush()
        # At once: a worker that was just being started would be waited for. It dies with this process.
        os._exit(INTERRUPTED)
    sys.exit(code or 0)


def _complain(message: str) -> None:
    sys.stderr.write(f"curate: {' '.join(message.split())}\n")
