"""How each service is installed, prepared, started, asked whether it is ready, and reached."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.processes import ServiceFailed, asked, can_run, own_folder, run, unprivileged

HERE = Path(__file__).parent
JAVA = 17


@dataclass(frozen=True)
class Place:
    """Where one instance lives: its folder, its port, and another port for what it needs inside."""

    folder: Path
    port: int
    inner_port: int


@dataclass(frozen=True)
class Recipe:
    """One kind of service. `prepare` may be called again on a prepared place."""

    install: Callable[[Path], None]
    prepare: Callable[[Place], None]
    command: Callable[[Place], list[str]]
    is_ready: Callable[[Place], bool]
    variables: Callable[[Place], dict[str, str]]
    user: Callable[[], str | None] = unprivileged
    stop: signal.Signals = signal.SIGTERM
    environment: Mapping[str, str] = field(default_factory=dict)


def _apt(package: str) -> None:
    if shutil.which("apt-get") is None:
        raise ServiceFailed(f"{package} is not installed and there is no apt-get: install it by hand.")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    if os.geteuid() != 0:
        if shutil.which("sudo") is None or not can_run(["sudo", "-n", "true"], None):
            raise ServiceFailed(f"{package} is not installed: sudo {' '.join(command)}")
        command = ["sudo", "-n", *command]
    # RUNLEVEL=1 keeps the package from starting a server of its own.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        run(command, env=quiet)
    except ServiceFailed:
        run([*command[: command.index("install")], "update"], env=quiet)
        run(command, env=quiet)


# ---- PostgreSQL ----


def _postgres_program(name: str) -> str | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    for folder in reversed(folders):
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name)


def _postgres(name: str) -> str:
    found = _postgres_program(name)
    if found is None:
        raise ServiceFailed(f"PostgreSQL's {name} was not found: apt-get install postgresql")
    return found


def _install_postgres(_: Path) -> None:
    if _postgres_program("initdb") is None:
        _apt("postgresql")


def _prepare_postgres(place: Place) -> None:
    data, password = place.folder / "data", place.folder / "password"
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    password.write_text(secrets.token_hex(16))
    password.chmod(0o600)
    user = unprivileged()
    if user is not None:
        shutil.chown(password, user)
    run(
        [_postgres("initdb"), "--pgdata", str(data), "--username", "tiffin", "--pwfile", str(password),
         "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"],
        user=user,
    )  # fmt: skip


def _postgres_command(place: Place) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(place.port),
        # A socket's path may not be long, and the folder's may be.
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "deadlock_timeout": "200ms",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [_postgres("postgres"), "-D", str(place.folder / "data"), *options]


def _postgres_ready(place: Place) -> bool:
    done = subprocess.run(
        [_postgres("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(place.port), "-t", "1"], stdin=subprocess.DEVNULL
    )
    return done.returncode == 0


def _postgres_variables(place: Place) -> dict[str, str]:
    password = (place.folder / "password").read_text()
    return {"TIFFIN_TEST_POSTGRES_URL": f"postgresql://tiffin:{password}@127.0.0.1:{place.port}/postgres"}


# ---- Redis ----


def _install_redis(_: Path) -> None:
    if shutil.which("redis-server") is None:
        _apt("redis-server")


def _redis_command(place: Place) -> list[str]:
    return ["redis-server", "--bind", "127.0.0.1", "--port", str(place.port), "--dir", str(place.folder),
            "--save", "", "--appendonly", "no", "--daemonize", "no"]  # fmt: skip


# ---- Kafka ----


def _install_kafka(folder: Path) -> None:
    java_version()
    lib = folder / "lib"
    if (lib / ".complete").exists():
        return
    if shutil.which("mvn") is None:
        _apt("maven")
    shutil.rmtree(lib, ignore_errors=True)
    run(
        ["mvn", "--batch-mode", "--quiet", "--file", str(HERE / "kafka-pom.xml"), "dependency:copy-dependencies",
         "-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
    )  # fmt: skip
    (lib / ".complete").touch()


def java_version() -> int:
    """The major version of the machine's Java. Raises ServiceFailed where it is older than Kafka needs."""
    if shutil.which("java") is None:
        _apt("default-jre-headless")
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stderr
    number = told.partition('"')[2].partition('"')[0].partition(".")[0]
    if not number.isdigit() or int(number) < JAVA:
        raise ServiceFailed(f"Kafka needs Java {JAVA} or newer, this is: {told.splitlines()[0] if told else 'none'}")
    return int(number)


def _java(place: Place, *arguments: str) -> list[str]:
    return ["java", "-Xmx256m", "-Xms64m", "-cp", f"{place.folder / 'lib'}/*",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *arguments]  # fmt: skip


def _prepare_kafka(place: Place) -> None:
    config, data = place.folder / "server.properties", own_folder(place.folder / "data")
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{place.inner_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{place.port},CONTROLLER://127.0.0.1:{place.inner_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{place.port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "controlled.shutdown.enable": "false",
    }
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    if not (data / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Options of a JVM may begin with a dash only before its main class.
        format_it = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={config}"]
        run(_java(place, *format_it), user=unprivileged())


def _kafka_ready(place: Place) -> bool:
    """Whether the broker answers ApiVersions (KIP-35, version 0) without an error."""
    request = struct.pack("!hhih", 18, 0, 1, -1)
    answer = asked(place.port, struct.pack("!i", len(request)) + request)
    return len(answer) >= 10 and struct.unpack_from("!ih", answer, 4) == (1, 0)


# ---- S3 ----


def _install_s3(_: Path) -> None:
    if not can_run([sys.executable, "-c", "import moto.server"], None):
        raise ServiceFailed("moto is not installed in this Python: make setup, then .venv/bin/python -m tests.services")


def _s3_user() -> str | None:
    """Python itself may lie where only root comes."""
    user = unprivileged()
    return user if user is None or can_run([sys.executable, "-c", "import moto"], user) else None


def _nothing(_: Place) -> None:
    return None


RECIPES: Mapping[str, Recipe] = {
    "postgres": Recipe(
        _install_postgres, _prepare_postgres, _postgres_command, _postgres_ready, _postgres_variables,
        stop=signal.SIGINT,
    ),
    "redis": Recipe(
        _install_redis,
        _nothing,
        _redis_command,
        lambda place: asked(place.port, b"PING\r\n").startswith(b"+PONG"),
        lambda place: {"TIFFIN_TEST_REDIS_URL": f"redis://127.0.0.1:{place.port}/0"},
    ),
    "kafka": Recipe(
        _install_kafka,
        _prepare_kafka,
        lambda place: _java(place, "kafka.Kafka", str(place.folder / "server.properties")),
        _kafka_ready,
        lambda place: {"TIFFIN_TEST_KAFKA_BOOTSTRAP": f"127.0.0.1:{place.port}"},
    ),
    "s3": Recipe(
        _install_s3,
        _nothing,
        lambda place: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(place.port)],
        lambda place: asked(place.port, b"GET /moto-api/ HTTP/1.0\r\n\r\n", 12).startswith(b"HTTP/1.1 200"),
        lambda place: {"TIFFIN_TEST_S3_URL": f"http://127.0.0.1:{place.port}"},
        user=_s3_user,
    ),
}  # fmt: skip
