"""What the parts delivered and the encoder has not taken yet: bounded, and what does not fit is counted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agent.hardware.parts import EncodedPicture, VideoFrame
from agent.recorder.muxing import Item

MAX_FRAMES: Final = 24
MAX_PACKETS: Final = 900
"""Half a minute: a coded picture is a hundredth of a raw one."""
MAX_BLOCKS: Final = 400


@dataclass(slots=True)
class Waiting:
    """A queue in order of arrival. Not locked: whoever owns it does that."""

    items: deque[Item] = field(default_factory=deque)
    frames: int = 0
    """Raw pictures in it."""
    packets: int = 0
    """Coded pictures in it."""
    blocks: int = 0
    dropped: int = 0
    """Pictures that found no room."""
    dropped_blocks: int = 0
    """Blocks of sound that found none; the encoder fills the hole with silence at the right place."""
    _until_keyframe: bool = True

    @property
    def needs_keyframe(self) -> bool:
        """Coded pictures are dropped until the next keyframe."""
        return self._until_keyframe

    def put(self, item: Item) -> None:
        """Takes it, or counts it as dropped; coded pictures begin with a keyframe, also after a dropped one."""
        match item:
            case VideoFrame():
                if self._room(self.frames < MAX_FRAMES):
                    self.frames += 1
                    self.items.append(item)
            case EncodedPicture():
                self._put_packet(item)
            case _ if self.blocks < MAX_BLOCKS:
                self.blocks += 1
                self.items.append(item)
            case _:
                self.dropped_blocks += 1

    def _room(self, room: bool) -> bool:
        self.dropped += not room
        return room

    def _put_packet(self, packet: EncodedPicture) -> None:
        begun = self.packets > 0 or self.dropped > 0 or not self._until_keyframe
        if self._until_keyframe and not packet.keyframe:
            self.dropped += begun
            return
        self._until_keyframe = not self._room(self.packets < MAX_PACKETS)
        if not self._until_keyframe:
            self.packets += 1
            self.items.append(packet)

    def take(self) -> Item | None:
        """The oldest; None when nothing waits."""
        if not self.items:
            return None
        item = self.items.popleft()
        match item:
            case VideoFrame():
                self.frames -= 1
            case EncodedPicture():
                self.packets -= 1
            case _:
                self.blocks -= 1
        return item
