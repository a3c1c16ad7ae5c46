"""What the agency has for its devices, hazard flags (R13.1) and assignments (R12.2): retained at the broker.

One worker publishes them for all; another does so again when it is gone. They are the same whoever does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.custody.wire import Kind, Topic
from agent.dock.assignments import Assignments
from agent.dock.hazard import HazardFlags
from agent.dock.register import DeviceRegister
from agent.evidence.documents import TrustBundle


class Notices:
    """Read from the credentials' folder, as a dock's are. One thread."""

    def __init__(self, credentials: Path, trust: TrustBundle, register: DeviceRegister) -> None:
        self._hazard, self._assignments = HazardFlags(credentials, trust), Assignments(credentials, trust)
        self._register = register
        self._are_out = False

    def refresh(self, ours: bool, publish: Callable[[Topic, bytes], None]) -> None:
        """Reads the folders again; publishes everything when it has changed, or has become this worker's to publish."""
        changed = [self._hazard.refresh(), self._assignments.refresh()]
        if ours and (any(changed) or not self._are_out):
            self._publish(publish)
        self._are_out = ours

    def again(self) -> None:
        """The devices accepted have changed, or a connection was lost: what was published may not stand."""
        self._are_out = False

    def _publish(self, publish: Callable[[Topic, bytes], None]) -> None:
        devices = self._register.devices
        for device in sorted(devices):
            flag = self._hazard.newest(device)
            if flag is not None:
                publish(Topic(Kind.HAZARD, device), flag)
        for device, token in sorted(self._assignments.retained(devices).items()):
            publish(Topic(Kind.ASSIGNMENT, device), token)
