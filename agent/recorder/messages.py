"""What other threads put on the recorder's queue besides events of the state machine; none of it is judged yet."""

from __future__ import annotations

from dataclasses import dataclass

from agent.hardware.parts import Edge


@dataclass(frozen=True, slots=True)
class ButtonEdge:
    """An edge of a named contact."""

    button: str
    edge: Edge


@dataclass(frozen=True, slots=True)
class ReceiptArrived:
    """A dock's receipt."""

    token: bytes


@dataclass(frozen=True, slots=True)
class CosignedArrived:
    """A checkpoint that a dock has cosigned."""

    note: bytes


@dataclass(frozen=True, slots=True)
class HazardFlagArrived:
    """R13.1: a hazard flag."""

    token: bytes


@dataclass(frozen=True, slots=True)
class AssignmentArrived:
    """R12.2: an assignment from dispatch."""

    token: bytes
