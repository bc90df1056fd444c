"""Processes that outlive whoever starts them: as whom they run, on which port, and whether they still do."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_USERS = ("postgres", "nobody")
_LAST_LINES = 15


class ServiceFailed(Exception):
    """A service cannot be installed or started; the text says why and what to do."""


def unprivileged() -> str | None:
    """Whom services run as where root starts them: PostgreSQL refuses root. None: the user who starts them."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in _USERS:
        if name in known:
            return name
    raise ServiceFailed(f"Services do not run as root, and there is none of the users {', '.join(_USERS)}.")


def home_of(folder: Path) -> Path:
    """The folder itself, or one in /var/tmp where the folder is closed to the user whom services run as."""
    folder = folder.absolute()
    if unprivileged() is None or all(_open(parent) for parent in folder.parents if parent.exists()):
        return folder
    home = Path("/var/tmp") / f"tiffin-services-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    home.mkdir(mode=0o755, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != 0:
        raise ServiceFailed(f"{home} belongs to somebody else: remove it.")
    return home


def _open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def own_folder(folder: Path) -> Path:
    """Makes a folder that the service's user may write."""
    folder.mkdir(parents=True, exist_ok=True)
    if (user := unprivileged()) is not None:
        shutil.chown(folder, user)
    return folder


def run(command: Sequence[str], *, user: str | None = None, env: Mapping[str, str] | None = None) -> None:
    """Runs a command to its end. Raises ServiceFailed with the end of what it said."""
    done = subprocess.run(
        command, user=user, cwd="/", env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise ServiceFailed(f"{command[0]} ended with status {done.returncode}:\n{said}")


def can_run(command: Sequence[str], user: str | None) -> bool:
    try:
        done = subprocess.run(command, user=user, cwd="/", capture_output=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def spawn(command: Sequence[str], log: Path, *, user: str | None, env: Mapping[str, str]) -> int:
    """Starts a process in a session of its own; what it says goes to `log`."""
    with log.open("ab") as said:
        process = subprocess.Popen(
            command, user=user, cwd="/", env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=said,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    return process.pid


def last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:]) if log.exists() else ""


def mark_of(pid: int) -> str:
    """What tells a process from a later one with the same number; "" where it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def end(pid: int, number: signal.Signals, patience: float) -> None:
    """Sends the signal and waits; after `patience` seconds the process is killed."""
    mark = mark_of(pid)
    give_up = time.monotonic() + patience
    _send(pid, number)
    while mark and mark_of(pid) == mark:
        if time.monotonic() > give_up:
            _send(pid, signal.SIGKILL)
            give_up += patience
        _reap(pid)
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """A process and all that descend from it, itself first."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(file.parent.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        _send(pid, number)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def asked(port: int, question: bytes, most: int = 64) -> bytes:
    """What a server answers to `question`; b"" where it does not answer within a second."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.sendall(question)
            return sock.recv(most)
    except OSError:
        return b""
