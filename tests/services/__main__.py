"""python -m tests.services start|stop|status [postgres|redis|kafka|s3]…"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.services import FOLDER, ServiceFailed, Stack, known


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services", description="Real services for tests.")
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("names", nargs="*", help="postgres, redis, kafka, s3; none: all of them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they live (default: build/services)")
    given = parser.parse_args()
    stack = Stack(given.folder)
    try:
        names = known(given.names)
    except ServiceFailed as failure:
        parser.error(str(failure))
    if given.action == "status":
        return _status(stack, names)
    # One after another, since two installations at once would wait for each other's lock and fail.
    failed = _stopped(stack, names) if given.action == "stop" else _started(stack, names)
    for line in failed:
        print(line, file=sys.stderr)
    if given.action == "start" and not failed:
        print(f"how they are reached: {stack.folder / 'env'}")
    return 1 if failed else 0


def _started(stack: Stack, names: list[str]) -> list[str]:
    failed = []
    for name in names:
        try:
            variables = stack.start(name)
        except (ServiceFailed, OSError) as failure:
            failed.append(f"{name}: {failure}")
        else:
            print(f"{name:10}{', '.join(variables)}", flush=True)
    return failed


def _stopped(stack: Stack, names: list[str]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        list(pool.map(stack.stop, names))
    return []


def _status(stack: Stack, names: list[str]) -> int:
    running = stack.running()
    for name in names:
        print(f"{name:10}{'runs' if name in running else 'does not run'}")
    return 0 if set(names) <= set(running) else 1


if __name__ == "__main__":
    sys.exit(main())
