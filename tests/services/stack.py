"""Services in one folder: each with its port, its process and its log, started and stopped one by one."""

from __future__ import annotations

import fcntl
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.processes import (
    ServiceFailed,
    end,
    family,
    free_port,
    home_of,
    is_free,
    last_lines,
    mark_of,
    own_folder,
    signal_all,
    spawn,
)
from tests.services.recipes import RECIPES, Place

FOLDER = Path(__file__).parents[2] / "build" / "services"
SERVICES = tuple(RECIPES)
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0


class Stack:
    """The services of one folder; `libraries` is where programs that are fetched are kept for all folders."""

    def __init__(self, folder: Path = FOLDER, libraries: Path = FOLDER) -> None:
        self.folder = folder.absolute()
        self._libraries = libraries.absolute()

    def start(self, name: str) -> dict[str, str]:
        """Starts a service unless it runs; returns how it is reached. Raises ServiceFailed."""
        recipe, place = RECIPES[name], self._place(name)
        with self._turn(name):
            if not (self.pid(name) and recipe.is_ready(place)):
                self._end(name)
                place = self._start(name)
        self._write_environment()
        return recipe.variables(place)

    def stop(self, name: str) -> None:
        """Ends a service; its data and its port stay for the next start. One that does not run is no error."""
        with self._turn(name):
            self._end(name)
        self._write_environment()

    def kill(self, name: str) -> None:
        """Ends a service at once, as a crash would."""
        with self._turn(name):
            if pid := self.pid(name):
                members = family(pid)
                end(pid, signal.SIGKILL, _STOP_SECONDS)
                signal_all(members[1:], signal.SIGKILL)
        self._write_environment()

    def pause(self, name: str) -> None:
        """Has a service answer nobody, its connections open, until `resume`."""
        if pid := self.pid(name):
            signal_all(family(pid), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        if pid := self.pid(name):
            signal_all(family(pid), signal.SIGCONT)

    def remove(self) -> None:
        """Stops everything and removes its data."""
        for name in SERVICES:
            if (home_of(self.folder) / name).exists():
                self.stop(name)
        shutil.rmtree(home_of(self.folder), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self) -> list[str]:
        """The services that run and answer."""
        return [name for name in SERVICES if self.pid(name) and RECIPES[name].is_ready(self._place(name))]

    def environment(self) -> dict[str, str]:
        """The variables by which those that run are reached."""
        found: dict[str, str] = {}
        for name in self.running():
            found |= RECIPES[name].variables(self._place(name))
        return found

    def _start(self, name: str) -> Place:
        recipe = RECIPES[name]
        place = self._place(name, anew=True)
        self._install(name, place)
        recipe.prepare(place)
        log = place.folder / "log"
        pid = spawn(recipe.command(place), log, user=recipe.user(), env=recipe.environment)
        (place.folder / "pid").write_text(f"{pid} {mark_of(pid)}")
        give_up = time.monotonic() + _START_SECONDS
        while not recipe.is_ready(place):
            if not mark_of(pid) or time.monotonic() > give_up:
                end(pid, signal.SIGKILL, _STOP_SECONDS)
                raise ServiceFailed(f"{name} did not start; the end of {log}:\n{last_lines(log)}")
            time.sleep(0.05)
        return place

    def _install(self, name: str, place: Place) -> None:
        if name != "kafka":
            RECIPES[name].install(place.folder)
            return
        shared = own_folder(home_of(self._libraries) / name)
        with _locked(shared / "install.lock"):
            RECIPES[name].install(shared)
        if shared != place.folder:
            (place.folder / "lib").unlink(missing_ok=True)
            (place.folder / "lib").symlink_to(shared / "lib")

    def _place(self, name: str, *, anew: bool = False) -> Place:
        """Where a service lives. `anew` makes the folder and chooses other ports where somebody has taken them."""
        folder = home_of(self.folder) / name
        ports = folder / "ports"
        known = [int(part) for part in ports.read_text().split()] if ports.exists() else [0, 0]
        if anew:
            own_folder(folder)
            known = [port if port and is_free(port) else free_port() for port in known]
            ports.write_text(" ".join(map(str, known)))
        return Place(folder, *known)

    def pid(self, name: str) -> int:
        """The process of a service; 0 where it has ended, also when another has its number now."""
        file = self.pid_file(name)
        pid, _, mark = (file.read_text() if file.exists() else "0 ").partition(" ")
        return int(pid) if mark and mark_of(int(pid)) == mark else 0

    def pid_file(self, name: str) -> Path:
        return home_of(self.folder) / name / "pid"

    def _end(self, name: str) -> None:
        if pid := self.pid(name):
            self.resume(name)
            end(pid, RECIPES[name].stop, _STOP_SECONDS)

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """One start or stop of a service at a time, whoever asks for it."""
        with _locked(own_folder(home_of(self.folder) / name) / "lock"):
            yield

    def _write_environment(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / "lock"):
            text = "".join(f"{name}={value}\n" for name, value in self.environment().items())
            draft = self.folder / "env.new"
            draft.touch(mode=0o600)
            draft.write_text(text)
            draft.replace(self.folder / "env")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def known(names: Iterable[str]) -> list[str]:
    """The names, or those of all services where none is given. Raises ServiceFailed for one that is not known."""
    chosen = list(names) or list(SERVICES)
    for name in chosen:
        if name not in RECIPES:
            raise ServiceFailed(f"There is no service {name!r}; there are: {', '.join(SERVICES)}.")
    return chosen
