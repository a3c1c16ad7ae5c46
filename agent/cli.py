"""The command ``recorder``: arguments in, exit code out. What a command does stands in ``agent.commands``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import __version__
from agent.cli_dock import add_dock_arguments
from agent.errors import RecorderError

_EXITS = """退出码 exit codes:
  0 成功 done   1 验证有发现 findings   2 用法、配置或无法判断 usage, configuration, or not to be judged
  3 记录仪未运行 not running   4 被拒绝 refused   5 存储 storage   6 硬件 hardware   7 传输 custody   70 其他 other"""


def build_parser() -> argparse.ArgumentParser:
    """All commands with their help."""
    parser = argparse.ArgumentParser(
        prog="recorder",
        description="执法记录仪：录制、交接、验证、移交、导出。\nBody-worn enforcement recorder: record, dock, verify, extract, export.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="命令 COMMAND")
    _add_daemons(commands)
    _add_witness(commands)
    _add_evidence(commands)
    _add_controls(commands)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, chinese: str, english: str, more: str = ""
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=f"{chinese} {english}",
        description=f"{chinese}\n{english}\n{more}",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_daemons(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _add(
        commands, "run", "运行记录仪。", "Runs the recorder until SIGTERM; a running recording is sealed first.",
        "\n硬件种类在配置 [hardware] 中指定，不会自动替换。 Which parts are used is said in [hardware]; nothing is replaced silently."
        "\n例 example:  recorder run --config /etc/enforcement-recorder/recorder.toml",
    )  # fmt: skip
    run.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="TOML: [recorder] [hardware] [custody] [log]"
    )
    dock = _add(
        commands, "dock", "运行采集站；状态、隔离区、副本、目录、保存期限。",
        "Runs a docking station until SIGTERM; shows its state, its quarantine and copies, and what is due to go.",
        "\n先验证，再写入、同步、读回，然后才签收据。 It verifies, writes, syncs and reads back before it signs a receipt."
        "\n例 example:  recorder dock --config dock.toml          recorder dock --config dock.toml status",
    )  # fmt: skip
    add_dock_arguments(dock, _EXITS)
    _add_intake(commands)
    broker = _add(
        commands, "broker", "写出采集站的 mosquitto 配置。", "Writes mosquitto.conf and acl for a docking station.",
        "\n依据 provision dock add 写出的目录；吊销列表更新后须重启 mosquitto。 From the folder that provision dock add wrote. After a new CRL, restart mosquitto."
        "\n例 example:  recorder broker --credentials /etc/enforcement-recorder/dock --out /etc/enforcement-recorder/mosquitto",
    )  # fmt: skip
    broker.add_argument("--credentials", type=Path, required=True, metavar="DIR", help="采集站目录 the dock's folder")
    broker.add_argument("--out", type=Path, required=True, metavar="DIR", help="写到这里 written into this folder")
    broker.add_argument("--port", type=int, default=8883, metavar="N", help="(default: %(default)d)")
    broker.add_argument("--address", metavar="IP", help="只在此地址监听 listen on this address only")
    broker.add_argument("--user", default="mosquitto", metavar="NAME", help="运行用户 runs as (default: %(default)s)")
    doctor = _add(
        commands, "doctor", "自检：配置、证书、部件、存储。", "Checks configuration, credentials, parts and storage; says what to do.",
        "\n不会录制，也不写账本。 Records nothing and writes nothing.",
    )  # fmt: skip
    doctor.add_argument("--config", type=Path, metavar="FILE", help="recorder.toml")
    doctor.add_argument("--errors", action="store_true", help="列出全部错误代码 print the table of all error codes")


def _add_intake(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    intake = _add(
        commands, "intake", "运行集群采集进程（NATS + S3），或查看、检查。", "Runs a worker of an intake on a NATS cluster with an S3 archive.",
        "\n任意多个进程共用一个身份；每台设备同时只由一个进程写入。 Any number of workers are one dock; only one of them can write for a device."
        "\n例 example:  recorder intake --config intake.toml            recorder intake --config intake.toml check"
        "\n             recorder intake --config intake.toml node n1 > nats.conf",
    )  # fmt: skip
    intake.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML: [intake] [intake.s3] [log]")
    intake.add_argument(
        "what",
        nargs="?",
        choices=["run", "status", "check", "node"],
        default="run",
        help="run（默认 default）| status | check 验证存储桶 proves the bucket | node 节点配置 a broker node's configuration",
    )
    intake.add_argument("name", nargs="?", metavar="NODE", help="node：节点名 the node's name in [[intake.nodes]]")
    intake.add_argument("--json", action="store_true", help="status, check 以 JSON 输出 as JSON")
    archive = _add(
        commands, "archive", "从 S3 档案库取回证据。", "Fetches evidence from an S3 archive into folders that recorder verify reads.",
        "\n已取回的不再下载；每个对象都与其摘要核对。 What is there is not read again; every object is checked against its digest."
        "\n例 example:  recorder archive fetch er-1 --to fetched --config intake.toml",
    )  # fmt: skip
    archive.add_argument("what", choices=["fetch", "list"], help="fetch | list 列出设备 the devices")
    archive.add_argument("device", nargs="?", metavar="DEVICE", help="设备编号 whose")
    archive.add_argument("--all", action="store_true", help="全部设备 every device")
    archive.add_argument("--to", type=Path, default=Path("archive"), metavar="DIR", help="目标目录 where to (%(default)s)")
    archive.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML: [intake] [intake.s3]")


def _add_witness(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    witness = _add(
        commands, "witness", "见证账本：运行见证方，或请其见证。", "Runs a witness of ledgers, shows what it holds, or asks one.",
        "\n见证方记住每本账本已有多长，只对其延续签名；可设在单位之外。"
        "\nA witness remembers how far each ledger was and signs only what continues it. It may stand outside the agency."
        "\n例 example:  recorder witness run --config witness.toml"
        "\n             recorder witness ask archive/er-1 --trust trust.json --url https://witness.example --name witness.example",
    )  # fmt: skip
    whats = witness.add_subparsers(dest="what", required=True, metavar="run | status | key | ask")
    for name, text in (
        ("run", "运行，直至 SIGTERM。 Runs a witness until SIGTERM."),
        ("status", "已见证的账本与警报。 What was cosigned, and the alarms."),
        (
            "key",
            "编号与公钥，交给管理员；首次使用时生成密钥。 Id and public key for the administrator; made at first use.",
        ),
    ):
        what = whats.add_parser(name, help=text, description=text)
        what.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML: [witness] [log]")
        if name != "run":
            what.add_argument("--json", action="store_true", help="以 JSON 输出 print JSON")
    text = "请见证方见证一个设备目录或档案库。 Asks a witness for a device folder or an archive; keeps its cosignature."
    ask = whats.add_parser("ask", help=text, description=text)
    ask.add_argument("path", type=Path, metavar="PATH", help="设备目录或档案库 device folder or archive")
    ask.add_argument(
        "--trust",
        type=Path,
        required=True,
        metavar="FILE",
        help="单位的信任文件，含见证方公钥 trust.json, with its key",
    )
    ask.add_argument("--url", required=True, metavar="URL", help="见证方地址 where the witness listens")
    ask.add_argument("--name", required=True, metavar="ID", help="信任文件中的见证方编号 its id in the trust file")
    ask.add_argument("--json", action="store_true", help="以 JSON 输出 print JSON")


def _add_evidence(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = _add(
        commands, "verify", "验证设备目录或档案库。", "Judges a device folder or an archive, axis by axis and rule by rule.",
        "\n不需要任何私钥；给出 --identity 时还会核对内容。 No key is needed; with --identity the contents are judged too."
        "\n例 example:  recorder verify archive/ --trust trust.json --json | jq .axes",
    )  # fmt: skip
    verify.add_argument("path", type=Path, metavar="PATH", help="设备目录或档案库 device folder or archive")
    verify.add_argument(
        "--trust",
        type=Path,
        required=True,
        metavar="FILE",
        help="单位的信任文件 the agency's trust.json, got by a way you trust",
    )
    verify.add_argument(
        "--identity", type=Path, metavar="AGE_KEY", help="单位的 age 私钥文件 the agency's age identity file"
    )
    verify.add_argument("--json", action="store_true", help="输出 JSON：axes, rules, findings, unknown, devices")
    verify.add_argument(
        "--accept-simulated",
        action="store_true",
        help="不把模拟硬件算作发现 do not count simulated hardware as a finding",
    )
    verify.add_argument(
        "--html", type=Path, metavar="FILE", help="另写一页可供阅读的报告 also writes the report as a page to read"
    )
    verify.add_argument(
        "--note",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="另存的见证检查点，可多次 a signed note that somebody else has kept; may be repeated",
    )
    verify.add_argument(
        "--tsa-roots",
        type=Path,
        metavar="PEM",
        help="时间戳机构的根证书；给出才核对时间戳 roots of timestamp authorities; without them timestamps are not judged",
    )
    verify.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="同时读取的对象数 objects read at once; default: cores"
    )
    extract = _add(
        commands, "extract", "移交一段记录及其证明。", "Hands over one recording with its proofs, and nothing about any other.",
        "\n不需要私钥；对象仍是封存的。 No key is needed; the objects stay sealed. Check the result with recorder verify."
        "\n例 example:  recorder extract archive/er-1 --recording 0123456789abcdef --out handover/",
    )  # fmt: skip
    extract.add_argument("path", type=Path, metavar="PATH", help="设备目录 device folder")
    extract.add_argument("--recording", metavar="ID", required=True, help="16 位十六进制编号 16 hex digits")
    extract.add_argument("--out", type=Path, required=True, metavar="DIR", help="新的输出目录 a folder to be made")
    export = _add(
        commands, "export", "导出一段记录为可播放的 MP4。", "Opens one recording with the agency's key: MP4, photos, particulars.",
        "\n不重新编码；逐个对象先与账本核对。 Nothing is encoded again; each object is held against the ledger first."
        "\n例 example:  recorder export archive/er-1 --recording 0123456789abcdef --identity archive.agekey --out export/",
    )  # fmt: skip
    export.add_argument("path", type=Path, metavar="PATH", help="设备目录 device folder")
    export.add_argument(
        "--recording",
        metavar="ID",
        help="16 位十六进制编号；省略则导出最后一段 16 hex digits; the last one if left out",
    )
    export.add_argument(
        "--identity",
        type=Path,
        required=True,
        metavar="AGE_KEY",
        help="单位的 age 私钥文件 the agency's age identity file",
    )
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="输出目录 where to write")
    inspect = _add(
        commands, "inspect", "列出账本条目（不验证）。", "Shows the ledger's entries without judging them.",
        "\n例 example:  recorder inspect device/ --type refused",
    )  # fmt: skip
    inspect.add_argument("path", type=Path, metavar="PATH", help="设备目录或档案库 device folder or archive")
    inspect.add_argument("--type", metavar="TYPE", help="只看一种条目 only entries of this type")
    inspect.add_argument("--json", action="store_true", help="每行一个 JSON one JSON object a line")


def _add_controls(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, chinese, english in (
        ("press", "按下录制键。", "Presses the record button: interlocks, notice, recording."),
        ("audio", "只录音。", "Records sound only: interlocks, notice, recording."),
        ("stop", "停止并封存。", "Stops and seals, like holding the button for 2 s."),
        ("mark", "标记此刻。", "Marks this moment, like a double press."),
        ("photo", "拍照。", "Takes a photo; outside a recording the notice is played first."),
        ("assign", "载入或清除执法任务。", "Gives the unit its matter: an assignment (JSON), or a signed one; or takes it away (R12.2)."),
        ("restrict", "声明不宜录制的内容。", "Declares content that must not be recorded: ends or refuses recording (R13.2, R13.3)."),
        ("status", "显示状态。", "Shows the state."),
        ("watch", "持续显示状态。", "Shows the state as it changes, until Ctrl-C; without a terminal a line per change."),
        ("reload", "载入新的档案与策略。", "Takes a newer signed profile or policy from the credentials folder."),
        ("drive", "移动模拟开关。", "Moves a simulated switch, or sets what a simulated part reads."),
    ):
        command = _add(commands, name, chinese, english)
        command.add_argument(
            "--config",
            type=Path,
            required=True,
            metavar="FILE",
            help="与 run 相同的 recorder.toml the same file as for run",
        )
        if name == "watch":
            _add_watch(command)
            continue
        command.add_argument("--json", action="store_true", help="以 JSON 输出 print JSON")
        if name == "restrict":
            _add_restrict(command)
        if name == "assign":
            _add_assign(command)
        if name == "press":
            command.add_argument(
                "--hold-ms",
                type=int,
                default=100,
                metavar="MS",
                help="按住毫秒数；2000 以上为停止 how long; over 2000 is a hold",
            )
        if name == "mark":
            command.add_argument(
                "--kind",
                choices=["moment", "site_sign", "site_spoken"],
                default="moment",
                help="时刻 | 已拍标志 sign filmed | 已口述地点 place spoken (R12.3)",
            )
        if name == "drive":
            command.add_argument(
                "part",
                choices=["hazard", "dock", "position", "power", "temperature", "clock"],
                help="防爆开关 hazard switch | 入站触点 dock contact | 定位 电量 温度 时钟",
            )
            command.add_argument(
                "words",
                nargs="+",
                metavar="WORD",
                help="开关 a switch: on | off；其余 others: 41.85 123.8 | 20 35 | 71.5 | rtc | none | gone",
            )


def _add_restrict(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--content",
        choices=["state_secret", "commercial_secret", "privacy", "other"],
        required=True,
        help="国家秘密 | 商业秘密 | 个人隐私 | 其他 state or commercial secret, privacy, other",
    )
    command.add_argument(
        "--text", metavar="TEXT", help="说明，加密保存 a note; kept encrypted, never in the ledger's clear text"
    )


def _add_assign(command: argparse.ArgumentParser) -> None:
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE", help="任务文件，- 为标准输入 the assignment; - is standard input")
    what.add_argument("--clear", action="store_true", help="清除任务 there is no matter any more")


def _add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--interval",
        type=_seconds,
        default=0.5,
        metavar="S",
        help="每次查询间隔秒数 seconds between questions (0.2-60)",
    )
    command.add_argument("--count", type=int, metavar="N", help="查询 N 次后结束 ends after N questions")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 60:
        raise argparse.ArgumentTypeError("0.2 to 60")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. Errors of the product end as one line with code and advice."""
    arguments = build_parser().parse_args(argv)
    # Imported here: a remote control must not wait for codecs and MQTT to load.
    from agent.commands import command

    try:
        return command(arguments.command)(arguments)
    except RecorderError as error:
        print(f"{error.code}: {error}\n  {error.advice}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing is left to be said
        return 0
