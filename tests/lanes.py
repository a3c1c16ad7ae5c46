"""Lanes: parts of the suite that need something of the machine. Each is printed before the run, present or not and why.

In CI (``CI`` is set) a lane that should run there and cannot is a failure, here and again after the run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

CI_LANES_WITHOUT = {
    "v4l2": "no CI machine has a webcam",
    "root": "depends on the machine's privileges",
    "i2c": "no CI machine has a bus, nor a kernel that lets one be made",
    "udev": "only systemd from 254 on can verify rules",
}
"""Lanes that CI may miss, and why."""

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", str(Path(sys.executable).parent)])


def _tools(*names: str) -> str | None:
    missing = [name for name in names if not shutil.which(name, path=_PATH)]
    return f"{', '.join(missing)} not installed" if missing else None


def _modules(*names: str) -> str | None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def _rtsp() -> str | None:
    """Debian's GStreamer RTSP server, which only the system's own Python can import."""
    python = Path("/usr/bin/python3")
    wanted = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if python.exists() and subprocess.run([python, "-c", wanted], capture_output=True, timeout=20).returncode == 0:
        return None
    return "gir1.2-gst-rtsp-server-1.0, python3-gi and the good and bad GStreamer plugins are not installed"


def lanes() -> dict[str, str | None]:
    """Every lane; None when it can run, otherwise what is missing."""
    rig = os.environ.get("ER_LIBCAMERA_RIG")
    return {
        "mosquitto": _tools("mosquitto"),
        "nats": _tools("nats-server"),
        "s3": _modules("boto3", "moto", "flask"),
        "age": _tools("age", "age-keygen"),
        "ffmpeg": _tools("ffmpeg", "ffprobe"),
        "openssl": _tools("openssl"),
        "rsync": _tools("rsync"),
        "ssh": _tools("ssh", "ssh-keygen", "sshd"),
        "sounds": _tools("espeak-ng", "sox"),
        "sound-room": _tools("pulseaudio", "pactl"),
        "systemd": _tools("systemd-analyze", "systemd-sysusers", "systemd-tmpfiles"),
        "rtsp": _rtsp(),
        "strace": _tools("strace"),
        "node": _tools("node"),
        "atheris": None
        if importlib.util.find_spec("atheris")
        else "atheris not installed: it has no wheel for this Python",
        "alsa": _tools("aplay"),
        "chrony": _tools("chronyd", "chronyc"),
        "udev": _tools("udevadm"),
        "gpsd": _tools("gpsd"),
        "i2c": None if list(Path("/sys/module").glob("i2c_stub")) else "the kernel module i2c-stub is not loaded",
        "picamera2": None if rig and Path(rig).is_dir() else "ER_LIBCAMERA_RIG names no rig; see tests/rigs/README.md",
        "v4l2": None if Path("/dev/video0").exists() else "there is no /dev/video0",
        "root": None if os.geteuid() == 0 else "not root",
    }


def main() -> int:
    """Prints the lanes; 1 in CI when one that should run cannot."""
    failed = False
    for name, missing in lanes().items():
        print(f"lane {name}: {'runs' if missing is None else 'SKIPPED, ' + missing}")
        failed |= missing is not None and name not in CI_LANES_WITHOUT
    if failed and os.environ.get("CI"):
        print("in CI these lanes must run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
