"""Three broker nodes, two or three workers, an S3 server, all real processes, killed in the middle of an offload.

After each run: every object and line is in the bucket, under one version, the archive fetched from it verifies, and
every receipt is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_rig import Cluster, Nodes, S3Server, versions
from custody_rig import DOCK, Unit, wait_for
from lanes import lanes

from agent.custody.service import CustodyService
from agent.dock.cluster.fetch import fetch
from agent.dock.cluster.holdings import listed
from agent.dock.cluster.journal import newest, read_records
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import sha256_hex
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import read_receipt

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(lanes()["nats"] is not None, reason=f"lane nats: {lanes()['nats']}"),
    pytest.mark.skipif(lanes()["s3"] is not None, reason=f"lane s3: {lanes()['s3']}"),
]
SECONDS = 90.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    server = S3Server(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def cluster(agency: Path, tmp_path: Path, server: S3Server) -> Iterator[Cluster]:
    nodes = Nodes(tmp_path / "nodes", agency / DOCK)
    cluster = Cluster(agency, tmp_path, server.endpoint, nodes)
    yield cluster
    cluster.close()
    nodes.stop()


class Devices:
    """Stand-in recorders and their links."""

    def __init__(self, agency: Path, folder: Path, names: tuple[str, ...], port: int) -> None:
        self.units = {name: Unit(agency / name, folder / f"evidence-{name}", name, seed=len(name)) for name in names}
        self.services: dict[str, CustodyService] = {}
        self._port = port

    def record(self, sizes: list[int]) -> None:
        for unit in self.units.values():
            unit.record(sizes)

    def dock(self) -> None:
        for name, unit in self.units.items():
            self.services[name] = unit.service(self._port, subscribe_qos=0)
            self.services[name].start()

    def serve(self) -> None:
        for name, unit in self.units.items():
            unit.serve(self.services[name])

    def sent(self) -> int:
        return sum(service.progress().sent_bytes for service in self.services.values())

    def released(self) -> bool:
        return all(unit.released >= set(unit.originals) for unit in self.units.values())

    def pump(self, done: Callable[[], object], seconds: float = SECONDS) -> None:
        def step() -> bool:
            self.serve()
            return bool(done())

        wait_for(step, seconds)

    def undock(self) -> None:
        for service in self.services.values():
            service.stop()


@pytest.fixture
def devices(agency: Path, tmp_path: Path, cluster: Cluster) -> Iterator[Devices]:
    found = Devices(agency, tmp_path, ("er-1", "er-2"), cluster.door.port)
    yield found
    found.undock()


def check_everything(devices: Devices, cluster: Cluster, target: Path) -> None:
    """Nothing lost, nothing twice, every receipt true, and the fetched archive is what the devices sealed."""
    for key, count in versions(cluster.direct).items():
        assert count == 1, f"{key} is stored {count} times"
    for name, unit in devices.units.items():
        fetch(cluster.bucket, name, target)
        folder = EvidenceFolder(target / name)
        held = {path.stem: path.read_bytes() for path in folder.objects.glob("*.age")}
        assert held == unit.originals
        chain = ChainState(unit.trust, name)
        lines = folder.ledger.read_bytes().split(b"\n")[:-1]
        for line in lines:
            chain.accept(line)
        assert lines == unit.folder.ledger.read_bytes().split(b"\n")[: len(lines)]
        check_receipts(cluster, unit.trust, name, {path.stem for path in folder.objects.iterdir()})


def check_receipts(cluster: Cluster, trust: TrustBundle, device: str, held: set[str]) -> None:
    count = newest(cluster.bucket, device) + 1
    tokens = [one.data for one in read_records(cluster.bucket, device, 0, count) if one.head.kind == "receipt"]
    assert tokens
    for token in tokens:
        assert read_receipt(token, trust).device == device
        assert {ref.digest for ref in listed(token)} <= held


def claims(cluster: Cluster, device: str) -> list[str]:
    """The workers that took the device over, one after another."""
    count = newest(cluster.bucket, device) + 1
    return [one.head.worker for one in read_records(cluster.bucket, device, 0, count) if one.head.kind == "claim"]


def all_claimed(cluster: Cluster, devices: Devices) -> bool:
    return all(claims(cluster, name) for name in devices.units)


def test_two_workers_share_the_devices_and_everything_arrives(
    cluster: Cluster, devices: Devices, tmp_path: Path
) -> None:
    """A whole offload by two devices; each is served by one worker; the checkpoint is cosigned and kept."""
    devices.record([10, 100_000, 900_000])
    for name in ("w1", "w2"):
        cluster.start_worker(name)
    devices.dock()
    devices.pump(devices.released)
    devices.pump(lambda: all(s.progress().ledger_lines_pending == 0 for s in devices.services.values()))
    check_everything(devices, cluster, tmp_path / "fetched")
    assert all(worker.stop() == 0 for worker in cluster.workers.values())
    for name, unit in devices.units.items():
        folder = EvidenceFolder(tmp_path / "fetched" / name)
        assert folder.cosigned.exists()
        assert all(sha256_hex(path.read_bytes()) == path.stem for path in folder.objects.iterdir()), unit.device


def test_a_worker_killed_in_the_middle_is_followed_by_another(
    cluster: Cluster, devices: Devices, tmp_path: Path
) -> None:
    """kill -9 of the worker that serves, while objects stream: another one takes its devices over."""
    devices.record([2_000_000, 3_000_000, 50_000])
    devices.record([1_000_000] * 4)
    cluster.start_worker("w1")
    devices.dock()
    devices.pump(lambda: all_claimed(cluster, devices) and devices.sent() > 1_000_000)
    cluster.workers["w1"].kill()
    assert not devices.released()
    cluster.start_worker("w2")
    devices.pump(devices.released)
    check_everything(devices, cluster, tmp_path / "fetched")
    assert all({"w1", "w2"} == set(claims(cluster, name)) for name in devices.units)


def test_a_node_killed_in_the_middle_loses_nothing(cluster: Cluster, devices: Devices, tmp_path: Path) -> None:
    """kill -9 of one of three nodes, and of another one after the first is back."""
    devices.record([2_000_000] * 3)
    devices.record([500_000] * 6)
    for name in ("w1", "w2"):
        cluster.start_worker(name)
    devices.dock()
    devices.pump(lambda: devices.sent() > 2_000_000)
    cluster.nodes.kill(0)
    devices.pump(lambda: devices.sent() > 6_000_000)
    cluster.nodes.start(0)
    devices.pump(devices.released)
    check_everything(devices, cluster, tmp_path / "fetched")


def test_an_s3_endpoint_killed_in_the_middle_loses_nothing_and_stores_nothing_twice(
    cluster: Cluster, devices: Devices, server: S3Server, tmp_path: Path
) -> None:
    """kill -9 of the server, then its connections cut: no receipt leaves meanwhile, and the offload goes on after."""
    devices.record([2_000_000] * 3)
    devices.record([500_000] * 6)
    for name in ("w1", "w2"):
        cluster.start_worker(name)
    devices.dock()
    devices.pump(lambda: devices.sent() > 2_000_000)
    server.kill()
    before = {name: len(unit.released) for name, unit in devices.units.items()}
    devices.pump(lambda: "fault" in "".join(worker.log.read_text() for worker in cluster.workers.values()))
    server.start()
    devices.pump(lambda: all(len(unit.released) > before[name] for name, unit in devices.units.items()))
    cluster.s3_door.shut()
    wait_for(lambda: cluster.s3_door.is_empty)
    cluster.s3_door.open()
    devices.pump(devices.released)
    check_everything(devices, cluster, tmp_path / "fetched")


def test_a_worker_stopped_and_woken_again_does_no_harm(cluster: Cluster, devices: Devices, tmp_path: Path) -> None:
    """SIGSTOP in the middle, for longer than the others' patience: it wakes into a device that is another's."""
    devices.record([2_000_000, 3_000_000])
    devices.record([1_000_000] * 12)
    for name in ("w1", "w2"):
        cluster.start_worker(name)
    devices.dock()
    devices.pump(lambda: all_claimed(cluster, devices))
    served = [claims(cluster, name)[-1] for name in devices.units]
    sleeper = cluster.workers[served[0]]
    sleeper.pause()
    assert not devices.released()
    devices.pump(lambda: all(claims(cluster, name)[-1] != served[0] for name in devices.units))
    sleeper.resume()
    devices.pump(devices.released)
    check_everything(devices, cluster, tmp_path / "fetched")
