"""A MAX17048 without a chip: a bus object with its registers, and the kernel's own i2c-stub where it is loaded."""

from __future__ import annotations

import contextlib
import errno
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agent.hardware.linux.gauge import CRATE, SOC, VCELL, VERSION

ADDRESS = 0x36


def _swapped(word: int) -> int:
    return int.from_bytes(word.to_bytes(2, "big"), "little")


class FakeBus:
    """Answers SMBus Read Word as the kernel passes it on, with OSError where nobody answers."""

    def __init__(self, soc: int, crate: int, vcell: int = 0xBB80, version: int = 0x0012) -> None:
        self._registers = {VCELL: vcell, SOC: soc, CRATE: crate, VERSION: version}
        self._there = True

    def set(self, crate: int) -> None:
        self._registers[CRATE] = crate

    def unplug(self) -> None:
        self._there = False

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        if not self._there or i2c_addr != ADDRESS:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return _swapped(self._registers[register])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class StubBus:
    """``modprobe i2c-stub chip_addr=0x36,0x37``: registers behind a real /dev/i2c-N, spoken to by the real smbus2."""

    address = ADDRESS

    def __init__(self, number: int, soc: int, crate: int) -> None:
        self.number = number
        for register, word in {VCELL: 0xBB80, SOC: soc, CRATE: crate, VERSION: 0x0012}.items():
            self._write(register, word)

    def set(self, crate: int) -> None:
        self._write(CRATE, crate)

    def unplug(self) -> None:
        """The stub cannot go away; a cell that is gone is told in the same words."""
        self._write(VCELL, 0)

    def _write(self, register: int, word: int) -> None:
        from smbus2 import SMBus

        with SMBus(self.number) as bus:
            bus.write_word_data(ADDRESS, register, _swapped(word))


def stub_bus(soc: int, crate: int) -> StubBus:
    """The stub's bus; skips, loudly, where the kernel has none."""
    for name in Path("/sys/bus/i2c/devices").glob("i2c-*/name"):
        with contextlib.suppress(OSError):
            if "SMBus stub driver" in name.read_text():
                number = re.search(r"i2c-(\d+)/name$", str(name))
                assert number is not None
                return StubBus(int(number[1]), soc, crate)
    pytest.skip("lane i2c: the module i2c-stub is not loaded (modprobe i2c-dev; modprobe i2c-stub chip_addr=0x36)")
