"""What the cluster's tests and benchmark share: an S3 server, three broker nodes, a door before them, workers."""

from __future__ import annotations

import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import boto3
from custody_rig import DEVICES, DOCK, free_port, wait_for

from agent.dock.broker import find_nats
from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.nodes import node_config
from agent.dock.cluster.settings import BucketSettings, IntakeSettings, NodeSettings

KEYS = {"AWS_ACCESS_KEY_ID": "sample", "AWS_SECRET_ACCESS_KEY": "sample"}
BLOCK = 65_536


class S3Server:
    """An S3 server in a process, see ``s3_server.py``; ``plain`` is moto as it comes."""

    def __init__(self, folder: Path, plain: bool = False) -> None:
        self.port, self._folder, self._plain = free_port(), folder, plain
        self.endpoint = f"http://127.0.0.1:{self.port}"
        (folder / "stored").mkdir()
        self.start()

    def start(self) -> None:
        program = ["-m", "moto.server", "-p", str(self.port)] if self._plain else self._ours()
        with (self._folder / "s3.log").open("ab") as log:
            command = [sys.executable, "-W", "ignore", *program]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: answers(self.port), what="the S3 server")

    def _ours(self) -> list[str]:
        return [str(Path(__file__).parent / "s3_server.py"), str(self.port), str(self._folder / "stored")]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def make_bucket(endpoint: str, lock: bool = True, **more: object) -> BucketSettings:
    """A fresh bucket and the settings for it."""
    os.environ.update(KEYS)
    name = f"sample-{random.SystemRandom().getrandbits(48):012x}"
    with closing(boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")) as client:
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
    given = {"endpoint": endpoint, "retention_days": 30, "timeout_seconds": 3.0, **more}
    return BucketSettings(name, **given)  # type: ignore[arg-type]


def versions(settings: BucketSettings) -> dict[str, int]:
    """How many versions each key has: more than one would be stored twice."""
    found: dict[str, int] = {}
    with closing(boto3.client("s3", endpoint_url=settings.endpoint, region_name="us-east-1")) as client:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=settings.bucket):
            for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                found[one["Key"]] = found.get(one["Key"], 0) + 1
    return found


class Door:
    """Stands before servers as a load balancer would: a new connection goes to the next one that answers. A thread.

    ``shut`` ends all connections and takes no more, until ``open``.
    """

    def __init__(self, ports: list[int]) -> None:
        self._ports, self._next = ports, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_shut = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def shut(self) -> None:
        self._is_shut = True

    def open(self) -> None:
        self._is_shut = False

    @property
    def is_empty(self) -> bool:
        return not self._pairs

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.05):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                self._accept() if found is self._listener else self._pass(found)
            if self._is_shut:
                self._drop_all()
        self._drop_all()

    def _drop_all(self) -> None:
        for one in list(self._pairs):
            self._drop(one)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = None if self._is_shut else self._reach()
        if server is None:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(10)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _reach(self) -> socket.socket | None:
        for _ in self._ports:
            port = self._ports[self._next % len(self._ports)]
            self._next += 1
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=0.5)
        return None

    def _pass(self, one: socket.socket) -> None:
        if one not in self._pairs:
            return
        try:
            data = one.recv(BLOCK)
            if data:
                self._pairs[one].sendall(data)
                return
        except OSError:
            pass
        self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for end in (one, other):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()


class Nodes:
    """Three nats-servers in a cluster."""

    def __init__(self, folder: Path, credentials: Path, devices: tuple[str, ...] = DEVICES, count: int = 3) -> None:
        self.folder = folder
        self.settings = [
            NodeSettings(f"n{number}", credentials, folder / f"n{number}", "localhost", free_port(), free_port())
            for number in range(count)
        ]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * count
        for node in self.settings:
            node.store.mkdir(parents=True)
            (node.store / "nats.conf").write_text(node_config(node, self.settings, DOCK, devices, "sample"))
        for number in range(count):
            self.start(number)

    @property
    def ports(self) -> list[int]:
        return [node.mqtt_port for node in self.settings]

    def start(self, number: int) -> None:
        node = self.settings[number]
        program = find_nats()
        assert program is not None
        with (self.folder / f"{node.name}.log").open("ab") as log:
            command = [program, "-c", str(node.store / "nats.conf")]
            self.processes[number] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: answers(node.mqtt_port), what=f"node {node.name}")

    def kill(self, number: int) -> None:
        process = self.processes[number]
        assert process is not None
        process.kill()
        process.wait(5)

    def stop(self) -> None:
        for number, process in enumerate(self.processes):
            if process is not None and process.poll() is None:
                self.kill(number)


_PROGRAM = """
import sys
from agent.config import IntakeConfig, load
from agent.dock.cluster.worker import main
from agent.system import logs
from pathlib import Path
logs.configure("info")
sys.exit(main(load(Path(sys.argv[1]), IntakeConfig).intake, lambda report: None))
"""


@dataclass(slots=True)
class WorkerProcess:
    """A real worker in a process of its own."""

    settings: IntakeSettings
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """Nodes, a door before them, a door before the S3 server, workers."""

    def __init__(self, agency: Path, folder: Path, endpoint: str, nodes: Nodes) -> None:
        self.credentials, self.folder, self.nodes = agency / DOCK, folder, nodes
        self.door = Door(nodes.ports)
        self.s3_door = Door([int(endpoint.rpartition(":")[2])])
        self.direct = make_bucket(endpoint)
        self.bucket = Bucket(self.direct)
        self.workers: dict[str, WorkerProcess] = {}

    def start_worker(self, name: str, **more: object) -> WorkerProcess:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = folder / "intake.toml"
        port, s3_port = more.pop("port", self.door.port), more.pop("s3_port", self.s3_door.port)
        rows = "".join(f"{key} = {value}\n" for key, value in more.items())
        config.write_text(
            f'[intake]\nid = "{DOCK}"\nworker = "{name}"\nscratch = "scratch"\ncredentials = "{self.credentials}"\n'
            f"port = {port}\nheartbeat_seconds = 0.5\nsilence_seconds = 3.0\n{rows}"
            f'[intake.s3]\nbucket = "{self.direct.bucket}"\nretention_days = 30\n'
            f'endpoint = "http://127.0.0.1:{s3_port}"\ntimeout_seconds = 2.0\n'
        )
        log = folder / "log"
        with log.open("ab") as out:
            command = [sys.executable, "-c", _PROGRAM, str(config)]
            process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **KEYS})
        settings = IntakeSettings(DOCK, name, folder / "scratch", self.credentials, self.direct)
        self.workers[name] = WorkerProcess(settings, process, log)
        return self.workers[name]

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.kill()
        self.door.stop()
        self.s3_door.stop()
