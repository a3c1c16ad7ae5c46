"""Where chronyd's time comes from: what chronyc prints, and what the real one says of real sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from chrony_rig import chronyd, pulse
from gpsd_rig import free_port
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.linux.chrony import ChronyReference, ask, reference_of
from agent.hardware.parts import TimeSource


def tracking(refid: str, name: str, stratum: int = 1, leap: str = "Normal") -> str:
    return f"{refid},{name},{stratum},1795523798.594393705,0.001,-0.001,0.001,0.0,0.0,0.0,0.1,0.000001306,0.0,{leap}\n"


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (tracking("474E5353", "GNSS"), TimeSource.GNSS),
        (tracking("50505300", "PPS"), TimeSource.GNSS),
        (tracking("53484D30", "SHM0"), TimeSource.GNSS),
        (tracking("534F4330", "SOC0"), TimeSource.GNSS),
        (tracking("6E6D6561", "nmea"), TimeSource.GNSS),
        (tracking("50484330", "PHC0"), TimeSource.NTP),  # PTP: a network's time
        (tracking("C0A80101", "192.168.1.1", 3), TimeSource.NTP),
        (tracking("8C1F2E3D", "fd00::1", 3), TimeSource.NTP),
        (tracking("47505300", "71.80.83.0", 2), TimeSource.NTP),  # an address whose bytes spell GPS
        (tracking("7F7F0101", "", 10), TimeSource.NONE),  # its own clock, passed on with "local"
        (tracking("7F7F0101", "127.127.1.1", 10), TimeSource.NONE),
        (tracking("00000000", "", 0, "Not synchronised"), TimeSource.NONE),
        (tracking("474E5353", "GNSS", 1, "Not synchronised"), TimeSource.NONE),
        (tracking("474E5353", "GNSS", 1, "Insert second"), TimeSource.GNSS),
    ],
)
def test_the_reference_is_told_by_its_name_and_not_by_its_id(line: str, source: TimeSource) -> None:
    assert reference_of(line) is source


@pytest.mark.parametrize("line", ["", "506 Cannot talk to daemon", tracking("474E5353", "GNSS").replace(",0.1,", ",")])
def test_what_is_no_tracking_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="tracking"):
        reference_of(line)


@pytest.mark.parametrize("command", [("no-such-chronyc",), ("false",), ("echo", "506 Cannot talk to daemon")])
def test_no_answer_is_a_hardware_error_and_to_the_clock_only_not_known(command: tuple[str, ...]) -> None:
    with pytest.raises(HardwareError):
        ask(command)
    watching = ChronyReference(command)
    assert watching.newest() is None
    watching.close()


def test_the_real_chronyd_follows_a_receiver_and_says_so(tmp_path: Path) -> None:
    sock = tmp_path / "receiver.sock"
    with chronyd(tmp_path / "own", "port 0", f"refclock SOCK {sock} refid GNSS poll 0 filter 1 delay 0.1") as command:
        eventually(sock.exists)
        eventually(lambda: _asked(command) is TimeSource.NONE)

        def follows() -> bool:
            pulse(sock)
            return _asked(command) is TimeSource.GNSS

        eventually(follows, 30)
        watching = ChronyReference(command)
        assert watching.newest() is TimeSource.GNSS
        watching.close()


def test_the_real_chronyd_follows_a_server_and_says_so(tmp_path: Path) -> None:
    port = free_port()
    serving = ("bindaddress 127.0.0.1", f"port {port}", "allow 127.0.0.1", "local stratum 5")
    following = ("port 0", f"server 127.0.0.1 port {port} iburst minpoll 0 maxpoll 0")
    with chronyd(tmp_path / "server", *serving) as server, chronyd(tmp_path / "own", *following) as own:
        eventually(lambda: _asked(own) is TimeSource.NTP, 30)
        assert _asked(server) is TimeSource.NONE, "it vouches for itself, which is nobody"


def _asked(command: tuple[str, ...]) -> TimeSource | None:
    try:
        return ask(command)
    except HardwareError:
        return None
