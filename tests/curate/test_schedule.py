"""The schedule: order, retries, isolation; every unit ends committed whatever kills workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.records import Source
from curate.schedule import Schedule
from curate.tasks import Task, TaskFailed
from curate.units import Unit
from shards.errors import StageError


def unit(name: str, sources: int = 3) -> Unit:
    return Unit(name, tuple(Source(f"/{name}/{n}.mp4", 10, "1") for n in range(sources)))


def take(schedule: Schedule) -> Task | None:
    """Begin the next task, of a later pass if there is one."""
    for name in reversed(schedule.waiting()):
        if (task := schedule.peek(name)) is not None:
            schedule.begun(name)
            return task
    return None


def run_all(schedule: Schedule, killers: set[str], limit: int = 500) -> list[Task]:
    """Run every task; one that touches a source in `killers` dies."""
    log = []
    for _ in range(limit):
        task = take(schedule)
        if task is None:
            assert schedule.finished
            return log
        log.append(task)
        touched = {task.only} if task.only else {s.uri for s in task.unit.sources} - set(task.condemned)
        if touched & killers:
            schedule.died(task)
        else:
            schedule.done(task)
    raise AssertionError("the schedule does not end")


def test_later_passes_go_first_and_follow_the_commit_of_the_earlier() -> None:
    schedule = Schedule(["split", "caption"], [unit("a"), unit("b")], {}, attempts={"split": 3, "caption": 3})
    assert [task.key for task in run_all(schedule, set())] == [
        ("split", "a"),
        ("caption", "a"),
        ("split", "b"),
        ("caption", "b"),
    ]


def test_what_is_committed_is_not_done_again() -> None:
    schedule = Schedule(
        ["split", "caption"],
        [unit("a"), unit("b")],
        {"split": {"a", "b"}, "caption": {"a"}},
        attempts={"split": 3, "caption": 3},
    )
    assert schedule.left("caption") == 1
    assert [task.key for task in run_all(schedule, set())] == [("caption", "b")]


def test_a_killer_is_condemned_and_its_neighbours_are_kept() -> None:
    schedule = Schedule(["split"], [unit("a")], {}, attempts={"split": 3})
    log = run_all(schedule, {"/a/1.mp4"})
    assert sum(task.only is None for task in log) == 3 + 1
    assert sum(task.only == "/a/1.mp4" for task in log) == 3
    assert sum(task.only == "/a/0.mp4" for task in log) == 1
    assert set(log[-1].condemned) == {"/a/1.mp4"}
    assert log[-1].condemned["/a/1.mp4"].error == "WorkerDied"


def test_sources_that_only_kill_together_are_all_given_up() -> None:
    schedule = Schedule(["split"], [unit("a", 2)], {}, attempts={"split": 2})
    for _ in range(50):
        task = take(schedule)
        if task is None:
            break
        if task.only is None and not task.condemned:
            schedule.died(task)
        else:
            schedule.done(task)
            last = task
    assert schedule.finished
    assert set(last.condemned) == {"/a/0.mp4", "/a/1.mp4"}


@given(st.sets(st.integers(0, 11)), st.integers(1, 4))
def test_it_always_ends_with_exactly_the_killers_condemned(killers: set[int], attempts: int) -> None:
    units = [unit(name) for name in "abcd"]
    uris = [source.uri for u in units for source in u.sources]
    deadly = {uris[n] for n in killers}
    schedule = Schedule(["split"], units, {}, attempts={"split": attempts})
    log = run_all(schedule, deadly)
    last = {task.unit.id: task for task in log if task.only is None}
    assert {uri for task in last.values() for uri in task.condemned} == deadly
    assert set(last) == set("abcd")


def test_after_a_death_a_unit_runs_by_itself() -> None:
    schedule = Schedule(["split"], [unit("a")], {}, attempts={"split": 3})
    first = take(schedule)
    assert first is not None
    assert not first.alone
    schedule.died(first)
    again = take(schedule)
    assert again is not None
    assert again.alone


def test_the_only_source_of_a_unit_needs_no_isolation() -> None:
    schedule = Schedule(["split"], [unit("a", 1)], {}, attempts={"split": 3})
    log = run_all(schedule, {"/a/0.mp4"})
    assert [task.only for task in log] == [None] * 4
    assert set(log[-1].condemned) == {"/a/0.mp4"}


def test_an_error_that_may_pass_is_tried_again_and_then_ends_the_run() -> None:
    schedule = Schedule(["split"], [unit("a"), unit("b")], {}, attempts={"split": 3})
    lost = TaskFailed("StorageError", "500", 1, blame="storage")
    for more in (True, True, False):
        task = take(schedule)
        assert task is not None
        while task.unit.id != "a":
            schedule.done(task)
            task = take(schedule)
            assert task is not None
        assert schedule.stumbled(task, lost) is more
    crash = TaskFailed("StageError", "bug", 1)
    schedule = Schedule(["split"], [unit("a")], {}, attempts={"split": 3})
    task = take(schedule)
    assert task is not None
    assert not schedule.stumbled(task, crash)


def test_workers_that_die_while_loading_end_the_run_unless_one_succeeds() -> None:
    schedule = Schedule(["caption"], [unit("a")], {}, attempts={"caption": 3})
    for _ in range(5):
        schedule.load_failed("caption", "killed by SIGKILL")
        schedule.load_failed("caption", "killed by SIGKILL")
        schedule.loaded("caption")
    schedule.load_failed("caption", "killed by SIGKILL")
    schedule.load_failed("caption", "killed by SIGKILL")
    with pytest.raises(StageError, match=r"'caption': 3 workers in a row died while loading.*SIGKILL"):
        schedule.load_failed("caption", "killed by SIGKILL")


def test_a_task_that_was_not_begun_costs_no_attempt() -> None:
    schedule = Schedule(["split"], [unit("a")], {}, attempts={"split": 1})
    for _ in range(3):
        task = take(schedule)
        assert task is not None
        schedule.returned(task)
    assert [task.key for task in run_all(schedule, set())] == [("split", "a")]
