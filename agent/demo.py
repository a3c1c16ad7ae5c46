"""``make demo``: one whole shift with sample data, on real processes; leaves everything under ``build/demo``.

Nothing here is part of the product: it only calls the commands that an administrator, an officer, a custodian and a
court's expert would call, and looks at what they print.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.evidence.folder import EvidenceFolder
from agent.hardware.prompts import NOTICE_FILE, NOTICE_TEXT

DEVICE: Final = "rec-sample-01"
DOCK: Final = "dock-sample-01"
OFFICER: Final = "officer-sample-01"
FILM_SECONDS: Final = 12.0


class DemoFailedError(Exception):
    """A step did not show what it should have shown."""


@dataclass(slots=True)
class Stage:
    """Folders and running processes of the demonstration."""

    root: Path
    broker: str = "auto"
    processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    step: int = 0

    @property
    def work(self) -> Path:
        """Configurations, credentials, logs and sockets."""
        return self.root / "work"

    @property
    def config(self) -> Path:
        """The recorder's configuration."""
        return self.work / "recorder.toml"

    def title(self, chinese: str, english: str) -> None:
        """Announces a step."""
        self.step += 1
        print(f"\n━━ {self.step}. {chinese}  {english}", flush=True)

    def run(self, program: str, *arguments: str | Path, expect: int = 0, quiet: bool = False) -> str:
        """Calls one of our commands, prints what it prints, and insists on its exit code."""
        words = [str(word) for word in arguments]
        shown = " ".join(word.replace(f"{self.root}/", "") for word in words)
        print(f"  $ {'recorder' if program == 'agent' else 'provision'} {shown}", flush=True)
        done = subprocess.run([sys.executable, "-m", program, *words], capture_output=True, text=True, timeout=120)
        output = done.stdout + done.stderr
        if not quiet:
            print("".join(f"    {line}\n" for line in output.splitlines()), end="", flush=True)
        if done.returncode != expect:
            raise DemoFailedError(f"exit code {done.returncode}, expected {expect}\n{output}")
        return done.stdout

    def start(self, name: str, *arguments: str | Path) -> None:
        """Starts a daemon with its log beside it."""
        log = (self.work / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "agent", *map(str, arguments)]
        self.processes.append((name, subprocess.Popen(command, stdout=log, stderr=log)))

    def stop_all(self) -> None:
        """Ends the daemons, the newest first; a daemon that does not end is killed."""
        while self.processes:
            _, process = self.processes.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    def status(self) -> dict[str, Any]:
        """What the running recorder says; an empty answer while it does not."""
        command = [sys.executable, "-m", "agent", "status", "--json", "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def wait(self, what: str, seconds: float, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits for the recorder's status to fulfil a condition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self.processes:
                if process.poll() is not None:
                    raise DemoFailedError(f"{name} has ended; see {self.work / (name + '.log')}")
            found = self.status()
            if found and condition(found):
                return found
            time.sleep(0.2)
        raise DemoFailedError(f"{what}: not within {seconds:.0f} s; see the logs in {self.work}")


def main() -> int:
    """Runs the demonstration; 0 when every step showed what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--broker", choices=["auto", "mosquitto", "nats"], default="auto", help="auto: mosquitto if it is there"
    )
    stage = Stage(Path("build/demo").resolve(), parser.parse_args().broker)
    shutil.rmtree(stage.root, ignore_errors=True)
    for folder in (stage.work, stage.root / "archive", stage.root / "trust", stage.root / "keys", stage.work / "dock"):
        folder.mkdir(parents=True)
    (stage.work / "dock" / "archive").symlink_to("../../archive")
    began = time.monotonic()
    try:
        for act in (agency, processes, record, refuse, approve, hand_over, judge, tamper, export, leave):
            act(stage)
    except DemoFailedError as error:
        print(f"\n✗ 演示失败 The demonstration failed: {error}", file=sys.stderr)
        return 1
    finally:
        stage.stop_all()
    print(f"\n✓ 完成，用时 {time.monotonic() - began:.0f} 秒。 Done. 见 see build/demo/说明-README.md")
    return 0


def agency(stage: Stage) -> None:
    """1: a sample agency, officer, recorder and dock."""
    stage.title("建立样例单位、人员、记录仪、采集站", "Sample agency, officer, recorder, dock")
    home = ("--agency", stage.work / "agency")
    notice = ("--notice", NOTICE_FILE)
    stage.run(
        "provisioning",
        "agency",
        "init",
        stage.work / "agency",
        "--id",
        "sample-agency",
        "--name",
        "样例单位 SAMPLE AGENCY",
        *notice,
    )
    stage.run(
        "provisioning",
        "officer",
        "add",
        *home,
        OFFICER,
        "--name",
        "样例人员 SAMPLE OFFICER",
        "--section",
        "sample-section",
    )
    stage.run(
        "provisioning", "dock", "add", *home, DOCK, "--name", "localhost", "--out", stage.work / "dock-credentials"
    )
    credentials = stage.work / "recorder-credentials"
    stage.run(
        "provisioning",
        "device",
        "enrol",
        *home,
        DEVICE,
        "--serial",
        "SAMPLE-0001",
        "--section",
        "sample-section",
        "--out",
        credentials,
    )
    stage.run("provisioning", "assign", *home, DEVICE, OFFICER)
    stage.run("provisioning", "refresh", *home, credentials, stage.work / "dock-credentials")
    shutil.copy(credentials / "trust.json", stage.root / "trust" / "trust.json")
    for key in (stage.work / "agency").glob("*key"):
        shutil.copy(key, stage.root / "keys" / key.name)


def processes(stage: Stage) -> None:
    """2: broker, dock and recorder as processes of their own, TLS both ways."""
    stage.title("启动消息代理、采集站、记录仪（双向 TLS）", "Broker, dock and recorder, TLS both ways")
    port = _free_port()
    (stage.work / "dock.toml").write_text(
        f'[dock]\nid = "{DOCK}"\nfolder = "dock"\ncredentials = "dock-credentials"\nbroker = "{stage.broker}"\nport = {port}\n'
    )
    stage.config.write_text(
        "[recorder]\n"
        'evidence = "../device"\ncredentials = "recorder-credentials"\ncontrol = "control.sock"\nassignment = "assignment.json"\n'
        "[hardware]\n"
        'camera = "simulated"\nmicrophone = "simulated"\nspeaker = "simulated"\ncontrols = "simulated"\n'
        'hazard_switch = "simulated"\npower = "simulated"\n'
        '[hardware.simulated]\nspeaker_wav = "' + str(stage.work / "speaker.wav") + '"\n'
        f'[custody]\nhost = "localhost"\nport = {port}\ncredentials = "recorder-credentials"\n'
    )
    _assign(stage, "sample-matter-1", None)
    stage.start("dock", "dock", "--config", stage.work / "dock.toml")
    stage.start("recorder", "run", "--config", stage.config)
    stage.wait(
        "the recorder to be ready and connected", 60, lambda now: bool(now["custody"] and now["custody"]["connected"])
    )
    broker = "mosquitto" if _mosquitto() and stage.broker != "nats" else "nats-server"
    print(f"  代理 broker: {broker}, 端口 port {port}")
    print("  本机演示使用模拟摄像头与扬声器（真实街景片段循环播放；播放内容写入 work/speaker.wav），账本如实注明。")
    print(
        "  Simulated camera (real street footage, looped) and speaker (what is played goes to work/speaker.wav); the ledger says so."
    )
    stage.run("agent", "doctor", "--config", stage.config)


def record(stage: Stage) -> None:
    """3: press, hear, film."""
    stage.title("按下录制键：联锁、告知、录制", "Press the button: interlocks, notice, film")
    stage.run("agent", "press", "--config", stage.config, quiet=True)
    stage.wait("the notice to begin", 10, lambda now: now["phase"] == "notice")
    print(f"  ▶ 正在告知 notice: {NOTICE_TEXT}")
    stage.wait("the recording to begin", 40, lambda now: now["phase"] == "recording")
    print("  ● 告知结束，开始录音录像 The notice has ended: recording")
    stage.run("agent", "mark", "--kind", "site_sign", "--config", stage.config, quiet=True)
    now = stage.wait(
        "film to be published while recording",
        40,
        lambda now: now["media_seconds"] >= FILM_SECONDS and now["custody"]["sent_bytes"] > 0,
    )
    print(f"  ⇡ 边录边传 published while recording: {now['custody']['sent_bytes'] / 1e6:.1f} MB")
    _hold(stage)


def refuse(stage: Stage) -> None:
    """4a: the explosion flag refuses."""
    stage.title("爆炸危险标志：拒绝录制（第十三条）", "Explosion hazard flag: refused (R13.1)")
    _assign(stage, "sample-matter-2", {"zone": "1", "group": "IIB", "temperature_class": "T3", "surface_celsius": None})
    stage.run("agent", "drive", "hazard", "on", "--config", stage.config, quiet=True)
    stage.run("agent", "press", "--config", stage.config, quiet=True)
    stage.wait("the refusal", 10, lambda now: now["phase"] == "blocked")
    print(
        "  ✗ 此处为爆炸危险场所，禁止录制，请关机或离开 Explosion hazard here: recording is forbidden. Switch off or leave"
    )
    stage.run("agent", "inspect", stage.root / "device", "--type", "refused")


def approve(stage: Stage) -> None:
    """4b: with a valid Ex approval it records; mark, photo, stop."""
    stage.title("核发防爆合格证后：可以录制；标记；拍照；停止", "With an Ex approval: records, marks, photo, stop")
    credentials = stage.work / "recorder-credentials"
    approval = (
        "--marking",
        "Ex ib IIC T4 Gb",
        "--certificate",
        "SAMPLE-EX-0001",
        "--issuer",
        "SAMPLE ISSUER",
        "--expires",
        "2099-12-31",
    )
    # The switch names no zone: what it stands for is the agency's to say.
    stage.run("provisioning", "policy", "sign", "--agency", stage.work / "agency", "--assumed-zone", "1 IIB T3", quiet=True)
    profile = stage.work / "profile-with-approval.jws"
    stage.run(
        "provisioning", "ex-approval", "add", "--agency", stage.work / "agency", DEVICE, *approval, "--out", profile
    )
    stage.run("provisioning", "refresh", "--agency", stage.work / "agency", credentials)
    stage.run("agent", "reload", "--config", stage.config, quiet=True)
    stage.run("agent", "press", "--config", stage.config, quiet=True)
    stage.wait("the recording to begin", 40, lambda now: now["phase"] == "recording")
    print("  ● 已录制 recording")
    stage.run("agent", "mark", "--kind", "site_spoken", "--config", stage.config, quiet=True)
    stage.run("agent", "mark", "--config", stage.config, quiet=True)
    stage.run("agent", "photo", "--config", stage.config, quiet=True)
    stage.wait("some film", 30, lambda now: now["media_seconds"] >= FILM_SECONDS / 2)
    _hold(stage)
    stage.run("agent", "drive", "hazard", "off", "--config", stage.config, quiet=True)


def hand_over(stage: Stage) -> None:
    """5: dock; receipts; only then is space freed."""
    stage.title(
        "入站：验证、入库、签收据，然后才释放空间", "Dock: verified, stored, receipted; only then is space freed"
    )
    before = _sealed_bytes(stage)
    print(f"  设备上 on the device: {before / 1e6:.1f} MB 已封存 sealed")
    stage.run("agent", "drive", "dock", "on", "--config", stage.config, quiet=True)
    stage.wait(
        "everything to be handed over",
        60,
        lambda now: now["held_objects"] == 0 and now["docked"] and now["custody"]["ledger_lines_pending"] == 0,
    )
    _wait_witnessed(stage)
    stage.run("agent", "dock", "--config", stage.work / "dock.toml", "status")
    print(f"  设备上 on the device: {_sealed_bytes(stage) / 1e6:.1f} MB；可以取走 may be taken")
    stage.run("agent", "inspect", stage.root / "device", "--type", "receipt")
    stage.run("agent", "inspect", stage.root / "device", "--type", "released")
    stage.stop_all()


def judge(stage: Stage) -> None:
    """6a: the verdict."""
    stage.title("验证档案库", "Verify the archive")
    print(
        "  --accept-simulated：演示使用模拟硬件；不加此项时，来源一项不会通过。 Without it, provenance would not pass."
    )
    stage.run("agent", "verify", stage.root / "archive", *_judging(stage))


def tamper(stage: Stage) -> None:
    """6b: one byte altered, one recording removed: both are found."""
    stage.title("改动一个字节，删除一段记录：都被发现", "Alter one byte, remove one recording: both are found")
    altered = stage.work / "altered"
    shutil.copytree(stage.root / "archive", altered)
    victim = max((altered / DEVICE / "objects").glob("*.age"), key=lambda path: path.stat().st_size)
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    _show_findings(stage, altered, "OBJECT_ALTERED")
    removed = stage.work / "removed"
    shutil.copytree(stage.root / "archive", removed)
    for name in _objects_of_newest(stage):
        (removed / DEVICE / "objects" / name).unlink()
    _show_findings(stage, removed, "RECORDING_REMOVED")
    shutil.rmtree(altered)
    shutil.rmtree(removed)


def export(stage: Stage) -> None:
    """7: a playable film."""
    stage.title("导出一段记录", "Export one recording")
    key = ("--identity", stage.root / "keys" / "archive.agekey")
    stage.run("agent", "export", stage.root / "archive" / DEVICE, *key, "--out", stage.root / "export")
    film = next((stage.root / "export").glob("*.mp4"))
    if shutil.which("ffprobe"):
        command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,duration", "-of", "compact", str(film)]
        print(
            "    " + subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.replace("\n", "\n    ")
        )


def leave(stage: Stage) -> None:
    """A note on what is where and which stock commands check it."""
    digest = next((stage.root / "archive" / DEVICE / "objects").glob("*.age")).name
    film = next((stage.root / "export").glob("*.mp4")).name
    (stage.root / "说明-README.md").write_text(_NOTE.format(device=DEVICE, object=digest, film=film), "utf-8")


_NOTE: Final = """# 演示留下的内容 What the demonstration left

全部为样例数据，私钥也一并放在这里，切勿用于实际工作。 All of it is sample data, private keys included: never use it for real.

| 位置 Where | 内容 What |
|---|---|
| `archive/{device}/` | 档案库：账本、检查点、封存的对象 the archive: ledger, checkpoints, sealed objects |
| `device/` | 设备上留下的（媒体已凭收据释放） what is left on the device; its media was released against receipts |
| `trust/trust.json` | 验证者所需，全部公开 what a verifier needs, public only |
| `keys/` | 样例单位的私钥 the sample agency's private keys |
| `export/` | 导出的记录 the exported recording |
| `work/` | 配置、日志、播放过的声音 configurations, logs, what the speaker played |

用通用工具核对 Check with stock tools, from this folder:

    # 账本逐行可读 the ledger's lines are plain JWS
    cut -d. -f2 archive/{device}/ledger.jws | tr '_-' '/+' | while read -r p; do echo "$p===" | base64 -d 2>/dev/null; echo; done | jq -c '[.seq, .type]'
    # 每个对象以其 SHA-256 命名 every object is named by its SHA-256
    (cd archive/{device}/objects && for f in *; do [ "$(sha256sum < "$f" | cut -c1-64)" = "${{f%.*}}" ] || echo "ALTERED $f"; done)
    # 用标准 age 打开 open one with stock age
    age -d -i keys/archive.agekey archive/{device}/objects/{object} | file -
    # 影片 the film
    ffprobe -hide_banner export/{film}
    # 完整结论 the whole verdict
    recorder verify archive --trust trust/trust.json --identity keys/archive.agekey --accept-simulated
"""


def _judging(stage: Stage) -> tuple[str | Path, ...]:
    trust, key = stage.root / "trust" / "trust.json", stage.root / "keys" / "archive.agekey"
    return ("--trust", trust, "--identity", key, "--accept-simulated")


def _show_findings(stage: Stage, path: Path, code: str) -> None:
    output = stage.run("agent", "verify", path, *_judging(stage), "--json", expect=1, quiet=True)
    findings = json.loads(output)["findings"]
    for finding in findings:
        print(f"    ✗ {finding['code']} [{finding['axis']}] {finding['where']}: {finding['zh']}。 {finding['en']} {finding['detail']}")
    if code not in {finding["code"] for finding in findings}:
        raise DemoFailedError(f"{code} was not found")


def _objects_of_newest(stage: Stage) -> set[str]:
    command = [sys.executable, "-m", "agent", "inspect", str(stage.root / "archive"), "--json"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    bodies = [json.loads(line)["body"] for line in lines]
    newest = [body["recording"] for body in bodies if "recording" in body][-1]
    refs = [body.get("object") or body.get("particulars") for body in bodies if body.get("recording") == newest]
    return {f"{ref['digest']}.{ref['form']}" for ref in refs if ref}


def _hold(stage: Stage) -> None:
    stage.run("agent", "press", "--hold-ms", "2300", "--config", stage.config, quiet=True)
    stage.wait("the recording to be sealed", 30, lambda now: now["recording"] is None)
    print("  ■ 长按停止，已封存 held: stopped and sealed")


def _assign(stage: Stage, matter: str, hazard: dict[str, Any] | None) -> None:
    assignment = {
        "matter": matter,
        "action": "inspection",
        "stage": "investigation",
        "party": "样例企业 SAMPLE COMPANY",
        "site": "样例地点 SAMPLE SITE",
        "officers": ["样例人员 SAMPLE OFFICER"],
        "hazard": hazard,
        "restricted": None,
        "mandatory": False,
    }
    (stage.work / "assignment.json").write_text(json.dumps(assignment, ensure_ascii=False), "utf-8")


def _sealed_bytes(stage: Stage) -> int:
    return sum(path.stat().st_size for path in (stage.root / "device" / "objects").glob("*.age"))


def _wait_witnessed(stage: Stage) -> None:
    """Waits until the dock's cosignature covers the whole ledger in the archive."""
    folder = EvidenceFolder(stage.root / "archive" / DEVICE)

    def covered(now: dict[str, Any]) -> bool:
        lines = folder.ledger.read_bytes().count(b"\n")
        seen = int(folder.cosigned.read_text().split("\n")[1]) if folder.cosigned.exists() else 0
        return bool(now["ledger_size"] == lines == seen)

    stage.wait("the witness to cosign the last entry", 30, covered)


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
