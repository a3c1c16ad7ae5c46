"""One recorder put together: the daemon, and custody beside it, each knowing the other only through a queue."""

from __future__ import annotations

from agent.config import RecorderConfig
from agent.custody.events import (
    AssignmentArrived,
    CheckpointCosigned,
    CustodyEvent,
    HazardFlagArrived,
    ReceiptArrived,
)
from agent.custody.service import CustodyService
from agent.evidence.folder import EvidenceFolder
from agent.recorder import daemon, messages
from agent.system.logs import logger

log = logger("unit")


def run_unit(config: RecorderConfig) -> None:
    """Runs until SIGTERM or SIGINT. Raises RecorderError when the unit cannot start or cannot store any more."""
    recorder = daemon.Daemon(config.recorder, config.hardware)

    def deliver(event: CustodyEvent) -> None:
        match event:
            case ReceiptArrived(token):
                recorder.post(messages.ReceiptArrived(token))
            case CheckpointCosigned(note):
                recorder.post(messages.CosignedArrived(note))
            case HazardFlagArrived(token):
                recorder.post(messages.HazardFlagArrived(token))
            case AssignmentArrived(token):
                recorder.post(messages.AssignmentArrived(token))
            case _:
                log.info("custody", happened=type(event).__name__)

    if config.custody and config.custody.enabled:
        folder = EvidenceFolder(config.recorder.evidence)
        recorder.custody = CustodyService(
            config.custody, folder, recorder.device, deliver, lambda: recorder.receipts_needed
        )
    recorder.run()
