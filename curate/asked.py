"""What a run says of the models that it asked: requests, tokens a second, and where they waited."""

from __future__ import annotations

from collections.abc import Mapping

from curate.driver import Totals

__all__ = ["describe_requests"]


def describe_requests(totals: Totals) -> list[str]:
    """Return a line for each pass that put requests to a model, from what its stages counted."""
    return [_line(name, counts) for name, counts in totals.counts.items() if counts.get("requests")]


def _line(name: str, counts: Mapping[str, float]) -> str:
    def number(key: str) -> float:
        return counts.get(key, 0.0)

    requests, span_s = number("requests"), number("caption_s") or 1e-9
    said = [
        f"{requests:,.0f} requests, {number('in_flight_s') / span_s:.1f} in flight",
        f"{number('captioned_clips') / span_s * 3600:,.0f} clips an hour a worker",
    ]
    if generated := number("generated_tokens"):
        said.append(f"{generated / span_s:,.0f} tokens/s generated a worker")
    if prompts := number("prompt_tokens"):
        said.append(f"prefix cache {number('cached_tokens') / prompts:.0%}")
    said.append(f"a request waited {number('queued_s') / requests * 1000:.0f} ms in queues")
    said.append(f"took {number('prepared_s') / requests * 1000:.1f} ms to prepare")
    said.append(f"idle {number('idle_s') / span_s:.0%}")
    more = {"retries": "asked again after errors", "wrong_ids": "wrong ids", "canaries": "canaries"}
    said += [f"{number(key):,.0f} {text}" for key, text in more.items() if number(key)]
    if canaries := number("canaries"):
        said[-1] += f", {number('canaries_right') / canaries:.0%} seen right"
    if cost := number("cost"):
        said.append(f"cost {cost:,.2f}")
    return f"{name}: " + "; ".join(said)
