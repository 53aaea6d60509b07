"""pyarrow.fs against s3fs over an S3 server on the loopback address: `python benchmarks/object_storage.py`.

Starts moto's server (or takes `--endpoint`) and runs each library, where it can be imported, in a process of
its own: seconds and CPU seconds of small puts and gets, ranged reads, a listing, a large object both ways.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

BUCKET = "bench"
SMALL, LISTED, LARGE = 200, 1000, 100 << 20


def measure(library: str, endpoint: str) -> dict[str, tuple[float, float]]:
    """Return step → (seconds, CPU seconds)."""
    found: dict[str, tuple[float, float]] = {}

    def step(name: str, action: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        found[name] = (time.perf_counter() - wall, time.process_time() - cpu)

    data = os.urandom(LARGE)
    if library == "pyarrow":
        step("import", lambda: __import__("pyarrow.fs"))
        import pyarrow.fs as pafs

        fs = pafs.S3FileSystem(
            endpoint_override=endpoint.partition("//")[2],
            scheme="http",
            allow_delayed_open=True,
            background_writes=False,
        )

        def put(key: str, body: bytes) -> None:
            with fs.open_output_stream(f"{BUCKET}/{key}") as file:
                file.write(body)

        def get(key: str, start: int, length: int) -> bytes:
            with fs.open_input_file(f"{BUCKET}/{key}") as file:
                return bytes(file.read_at(length, start))

        def listed() -> int:
            return len(fs.get_file_info(pafs.FileSelector(f"{BUCKET}/small", recursive=True)))
    else:
        step("import", lambda: __import__("s3fs"))
        import s3fs

        remote = s3fs.S3FileSystem(endpoint_url=endpoint, use_listings_cache=False, skip_instance_cache=True)

        def put(key: str, body: bytes) -> None:
            remote.pipe_file(f"{BUCKET}/{key}", body)

        def get(key: str, start: int, length: int) -> bytes:
            end = None if length in (LARGE, 10_000) else start + length
            return bytes(remote.cat_file(f"{BUCKET}/{key}", start=start or None, end=end))

        def listed() -> int:
            return len(remote.find(f"{BUCKET}/small"))

    put("warm", b"x")
    step(f"{SMALL} puts of 10 KB", lambda: [put(f"small/{n}", data[:10_000]) for n in range(SMALL)])
    step(f"{SMALL} gets of 10 KB", lambda: [get(f"small/{n}", 0, 10_000) for n in range(SMALL)])
    step("100 MiB up", lambda: put("large", data))
    step(f"{SMALL} ranges of 64 KiB", lambda: [get("large", n << 16, 1 << 16) for n in range(SMALL)])
    step("100 MiB down", lambda: get("large", 0, LARGE))
    for n in range(SMALL, LISTED):
        put(f"small/{n}", b"x")
    step(f"listing {LISTED}", listed)
    return found


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", help="of a server that has the bucket `bench`")
    parser.add_argument("--library", choices=["pyarrow", "s3fs"])
    parser.add_argument("--python", action="append", help="other interpreters to look for the libraries in")
    options = parser.parse_args()
    if options.library:
        print(json.dumps(measure(options.library, options.endpoint)))
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        import boto3

        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.2)
        endpoint = f"http://127.0.0.1:{port}"
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        for library in ("pyarrow", "s3fs"):
            for python in (sys.executable, *(options.python or ())):
                done = subprocess.run(
                    [python, __file__, "--library", library, "--endpoint", endpoint],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode == 0:
                    for name, (wall_s, cpu_s) in json.loads(done.stdout).items():
                        print(f"{library:8} {name:22} {wall_s:7.2f} s  {cpu_s:6.2f} CPU s")
                    break
            else:
                print(f"{library}: {done.stderr.strip().splitlines()[-1]}")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
