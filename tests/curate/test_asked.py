"""What a run says of the models that it asked."""

from __future__ import annotations

from curate.asked import describe_requests
from curate.driver import Totals
from curate.tasks import Done


def test_figures_are_ratios_of_what_was_counted() -> None:
    totals = Totals()
    totals.add("split", Done({"clips": 5}, {"decode": 1.0}))
    half = {
        "requests": 60, "captioned_clips": 10, "caption_s": 20.0, "in_flight_s": 160.0, "idle_s": 1.0,
        "generated_tokens": 1000, "prompt_tokens": 4000, "cached_tokens": 1000, "queued_s": 3.0,
        "prepared_s": 0.6, "retries": 2,
    }  # fmt: skip
    totals.add("caption", Done(half, {}))
    totals.add("caption", Done(half, {}))
    assert describe_requests(totals) == [
        "caption: 120 requests, 8.0 in flight; 1,800 clips an hour a worker; 50 tokens/s generated a worker; "
        "prefix cache 25%; a request waited 50 ms in queues; took 10.0 ms to prepare; idle 5%; "
        "4 asked again after errors"
    ]
