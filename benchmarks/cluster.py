"""Past one dock: throughput with 1, 2 and 3 workers, a node killed in the middle, and what a GB and a device cost.

Real processes: three nats-servers, workers, recorders, an S3 server (moto, in Python, with what the tests add to it).
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.report import Row, Table
from benchmarks.rig import let_go

ROOT: Final = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "custody"), str(ROOT / "tests" / "cluster")]

from cluster_rig import Cluster, Nodes, S3Server, versions  # noqa: E402
from custody_rig import DOCK, make_agency, wait_for  # noqa: E402

from agent.dock.cluster.holdings import object_key  # noqa: E402
from agent.dock.cluster.presence import preferred  # noqa: E402
from agent.errors import StorageError  # noqa: E402
from provisioning.agency import Agency  # noqa: E402
from provisioning.credentials import DeviceOrder, enrol_device, refresh  # noqa: E402

OBJECT_BYTES: Final = 3_360_000
"""A segment of 5 s at the default settings."""
GB: Final = 1e9
_LIMIT_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much."""

    devices: int
    objects: int
    workers: tuple[int, ...]
    idle: int
    idle_seconds: float


FULL: Final = Size(devices=6, objects=15, workers=(1, 2, 3), idle=40, idle_seconds=30.0)
QUICK: Final = Size(devices=1, objects=2, workers=(1,), idle=1, idle_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Run:
    """One offload: MB/s from the first message to the last release, processor seconds and requests for its bytes."""

    size_bytes: int
    seconds: float
    cpu: dict[str, float]
    usage: dict[str, int]
    standstill_seconds: float
    """The longest time in which nothing was stored, between the first object and the last."""

    @property
    def speed(self) -> float:
        """MB/s."""
        return self.size_bytes / 1e6 / self.seconds

    def cpu_per_gb(self, who: str) -> float:
        """Processor seconds per GB of evidence."""
        return self.cpu[who] / (self.size_bytes / GB)

    def per_gb(self, what: str) -> float:
        """Requests of one kind, or bytes, per GB of evidence."""
        return self.usage.get(what, 0) / (self.size_bytes / GB)


class Site:
    """An agency, a broker of three nodes, an S3 server; workers and recorders come and go."""

    def __init__(self, folder: Path, devices: int) -> None:
        self.folder = folder
        self.agency = folder / "agency"
        self.names = _names(devices)
        make_agency(self.agency)
        with Agency(self.agency / "agency", writable=True, by="bench") as agency:
            for name in self.names:
                enrol_device(agency, DeviceOrder(name, f"SN-{name}", "section-1"), self.agency / name)
            refresh(agency, self.agency / DOCK)
        self._servers, self._has_nodes = 0, False
        self.server = self.fresh_server()
        self.nodes = self.fresh_nodes()

    def fresh_nodes(self) -> Nodes:
        """Three nodes that have seen nothing, in place of those before."""
        if self._has_nodes:
            self.nodes.stop()
            shutil.rmtree(self.folder / "nodes")
        self._has_nodes = True
        self.nodes = Nodes(_made(self.folder / "nodes"), self.agency / DOCK, tuple(self.names))
        return self.nodes

    def fresh_server(self) -> S3Server:
        """An empty S3 server in place of the one before: it holds everything in memory."""
        if self._servers:
            self.server.kill()
            shutil.rmtree(self.folder / "s3")
        self._servers += 1
        self.server = S3Server(_made(self.folder / "s3"))
        return self.server

    def close(self) -> None:
        """Ends all servers."""
        self.nodes.stop()
        self.server.kill()

    def recorder(self, cluster: Cluster, device: str, port: int, count: int) -> subprocess.Popen[str]:
        """A recorder's process, waiting to be told."""
        place = _made(cluster.folder / "devices") / device
        program = [sys.executable, str(ROOT / "benchmarks" / "cluster_load.py"), str(self.agency / device), str(place)]
        command = [*program, device, str(port), str(count), str(OBJECT_BYTES)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _names(wanted: int) -> list[str]:
    """Names of devices that rendezvous hashing shares out evenly among one, two or three workers: six and its like."""
    found: list[str] = []
    for number in count():
        name = f"bench-{number}"
        if len(found) == wanted:
            return found
        if all(_share(found, name, workers) < -(-6 // workers) for workers in (2, 3)) or len(found) >= 6:
            found.append(name)
    raise AssertionError


def _share(found: list[str], name: str, workers: int) -> int:
    """How many of the devices found go where this one would."""
    there = [f"w{number}" for number in range(workers)]
    return sum(preferred(one, there) == preferred(name, there) for one in found)


def run(out: Path, quick: bool = False) -> Table:
    """All of it; everything made on the way is removed."""
    size = QUICK if quick else FULL
    folder = _made(out / "cluster-work")
    site = Site(folder, max(size.devices, size.idle))
    try:
        alone = _server_alone(site, size)
        runs = {workers: _offload(site, size, workers) for workers in size.workers}
        killed = _offload(site, size, max(size.workers), lambda: site.nodes.kill(0))
        idle = _idle(site, size)
    finally:
        site.close()
        shutil.rmtree(folder)
    return _table(size, alone, runs, killed, idle)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cluster(site: Site, name: str) -> Cluster:
    site.fresh_server()
    return Cluster(site.agency, _made(site.folder / name), site.server.endpoint, site.nodes)


def _server_alone(site: Site, size: Size) -> float:
    """MB/s at which the S3 server takes objects and gives them back: what no number of workers can exceed here."""
    cluster = _cluster(site, "alone")
    try:
        data = bytes(OBJECT_BYTES)
        begun = time.monotonic()
        for number in range(size.objects):
            key = object_key("alone", f"{number:064x}.age")
            cluster.bucket.put_once(key, data)
            cluster.bucket.digest_of(key)
        return size.objects * OBJECT_BYTES / 1e6 / (time.monotonic() - begun)
    finally:
        cluster.close()


def _offload(site: Site, size: Size, workers: int, in_the_middle: Callable[[], None] | None = None) -> Run:
    """Everything of all devices, through so many workers, to the release of the last object."""
    cluster = _cluster(site, f"run-{workers}-{'killed' if in_the_middle else 'whole'}")
    devices: list[subprocess.Popen[str]] = []
    try:
        for number in range(workers):
            cluster.start_worker(f"w{number}", s3_port=site.server.port)
        wait_for(lambda: all(worker.settings.console_socket.exists() for worker in cluster.workers.values()))
        # Connections spread over the nodes as a balancer would spread them; where one dies, they come through the door.
        ports = [cluster.door.port] * 3 if in_the_middle else site.nodes.ports
        names = site.names[: size.devices]
        devices = [site.recorder(cluster, name, ports[at % 3], size.objects) for at, name in enumerate(names)]
        for device in devices:
            assert device.stdout is not None
            assert device.stdout.readline() == "ready\n"
        before, begun = _cpu(site, cluster), time.time()
        for device in devices:
            _tell(device)
        if in_the_middle:
            wait_for(lambda: _stored(cluster) >= size.devices * size.objects // 3, _LIMIT_SECONDS)
            in_the_middle()
        results = [json.loads(_read(device)) for device in devices]
        after = _cpu(site, cluster)
        for worker in cluster.workers.values():
            worker.stop()
        _check(cluster, dict(zip(names, results, strict=True)))
        cpu = {who: after[who] - before.get(who, 0.0) for who in after}
        cpu["recorders"] = sum(result["cpu"] for result in results)
        sent = sum(sum(result["objects"].values()) for result in results)
        seconds = max(result["ended"] for result in results) - begun
        return Run(sent, seconds, cpu, _usage(cluster), _standstill(cluster))
    finally:
        for device in devices:
            let_go(device)
        cluster.close()


def _tell(device: subprocess.Popen[str]) -> None:
    assert device.stdin is not None
    device.stdin.write("go\n")
    device.stdin.flush()


def _read(device: subprocess.Popen[str]) -> str:
    assert device.stdout is not None
    line = device.stdout.readline()
    if not line:
        raise SystemExit("a recorder did not get there")
    return line


def _stored(cluster: Cluster) -> int:
    return sum(1 for _ in cluster.bucket.keys("objects/"))


def _cpu(site: Site, cluster: Cluster) -> dict[str, float]:
    nodes = [process.pid for process in site.nodes.processes if process is not None and process.poll() is None]
    workers = [worker.process.pid for worker in cluster.workers.values()]
    groups = {"nodes": nodes, "workers": workers, "server": [site.server.process.pid]}
    return {who: sum(_seconds(pid) for pid in pids) for who, pids in groups.items()}


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _usage(cluster: Cluster) -> dict[str, int]:
    """What the workers asked of the bucket, over all."""
    total: dict[str, int] = {}
    for event in _events(cluster, "usage"):
        for key in ("put", "get", "head", "list", "sent_bytes", "read_bytes"):
            total[key] = total.get(key, 0) + int(event.get(key, 0))
    return total


def _events(cluster: Cluster, name: str) -> Iterator[dict[str, Any]]:
    """What the workers logged under a name."""
    for worker in cluster.workers.values():
        for line in worker.log.read_text().splitlines():
            event: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == name:
                yield event


def _standstill(cluster: Cluster) -> float:
    times = sorted(datetime.fromisoformat(event["timestamp"]) for event in _events(cluster, "object"))
    return max(((later - sooner).total_seconds() for sooner, later in pairwise(times)), default=0.0)


def _check(cluster: Cluster, results: dict[str, dict[str, Any]]) -> None:
    """Every object is there, once, and is what its name says; a benchmark of a lossy system would be worth nothing."""
    counts = versions(cluster.direct)
    for device, result in results.items():
        for digest in result["objects"]:
            key = object_key(device, f"{digest}.age")
            if counts.get(key) != 1 or cluster.bucket.digest_of(key)[0] != digest:
                raise StorageError(f"{key} is not stored once")


# -- devices that are docked and have nothing new ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Idle:
    """What one docked device costs while nothing happens, and its docking."""

    worker_kib: float
    node_kib: float
    worker_ms_per_minute: float
    nodes_ms_per_minute: float
    requests: float


def _idle(site: Site, size: Size) -> Idle:
    site.fresh_nodes()
    cluster = _cluster(site, "idle")
    devices: list[subprocess.Popen[str]] = []
    try:
        worker = cluster.start_worker("w0", s3_port=site.server.port)
        wait_for(worker.settings.console_socket.exists)
        memory = _memory(site, worker.process.pid)
        for at, name in enumerate(site.names[: size.idle]):
            devices.append(site.recorder(cluster, name, site.nodes.ports[at % 3], 0))
            _read(devices[-1])
            _tell(devices[-1])
        wait_for(lambda: worker.log.read_text().count('"event": "docked"') >= size.idle, _LIMIT_SECONDS)
        grown = [after - before for before, after in zip(memory, _memory(site, worker.process.pid), strict=True)]
        before = _cpu(site, cluster)
        time.sleep(size.idle_seconds)
        after, minutes = _cpu(site, cluster), size.idle_seconds / 60
        worker.stop()
        requests = sum(_usage(cluster).get(kind, 0) for kind in ("put", "get", "head", "list"))
        ms = {who: (after[who] - before[who]) * 1000 / size.idle / minutes for who in ("workers", "nodes")}
        kib = [value / 1024 / size.idle for value in grown]
        return Idle(kib[0], kib[1], ms["workers"], ms["nodes"], requests / size.idle)
    finally:
        for device in devices:
            let_go(device)
        cluster.close()


def _memory(site: Site, worker: int) -> tuple[float, float]:
    nodes = [process.pid for process in site.nodes.processes if process is not None]
    return psutil.Process(worker).memory_info().rss, sum(psutil.Process(pid).memory_info().rss for pid in nodes)


def _table(size: Size, alone: float, runs: dict[int, Run], killed: Run, idle: Idle) -> Table:
    median = statistics.median
    rows = [Row("the S3 server alone, put and read back", alone, "MB/s")]
    rows += [Row(f"device to bucket, {workers} workers", one.speed, "MB/s") for workers, one in runs.items()]
    rows.append(Row(f"{max(runs)} workers, a node killed in the middle", killed.speed, "MB/s"))
    rows.append(Row("longest standstill, nothing killed", max(one.standstill_seconds for one in runs.values()), "s"))
    rows.append(Row("longest standstill, a node killed", killed.standstill_seconds, "s"))
    for who in ("workers", "nodes", "recorders", "server"):
        rows.append(Row(f"processor, {who}", median(one.cpu_per_gb(who) for one in runs.values()), "s/GB"))
    for what in ("put", "get", "head", "list"):
        rows.append(Row(f"requests to the bucket, {what}", median(one.per_gb(what) for one in runs.values()), "/GB"))
    sent = median(one.per_gb("sent_bytes") for one in runs.values())
    rows += [
        Row("bytes sent to the bucket", sent / GB, "of each GB"),
        Row("a docked device, memory of its worker", idle.worker_kib, "KiB"),
        Row("a docked device, memory of all nodes", idle.node_kib, "KiB"),
        Row("a docked device, processor of its worker", idle.worker_ms_per_minute, "ms/min"),
        Row("a docked device, processor of all nodes", idle.nodes_ms_per_minute, "ms/min"),
        Row("docking with a ledger of 3 lines, requests to the bucket", idle.requests, "requests"),
    ]
    conditions = {
        "devices": size.devices, "objects_each": size.objects, "object_bytes": OBJECT_BYTES,
        "nodes": 3, "idle_devices": size.idle, "all_on": "one machine, S3 server included",
    }  # fmt: skip
    raw = {"runs": {key: asdict(one) for key, one in runs.items()}}
    raw["killed"] = asdict(killed)
    return Table("cluster", "past one dock: NATS JetStream, workers, S3", rows, conditions, raw)
