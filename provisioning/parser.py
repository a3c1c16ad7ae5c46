"""The arguments of ``provision``: one function per command, so that each help text stands beside its options."""

from __future__ import annotations

import argparse
from pathlib import Path

from provisioning import assignment_parser, commands, hazard_parser, retention_commands
from provisioning.agency import ROOT_DAYS
from provisioning.arguments import AGENCY_VARIABLE, Parser, add_command, add_days, add_group
from provisioning.credentials import IDENTITY_DAYS, TLS_DAYS


def build_parser() -> Parser:
    """All commands of ``provision``."""
    parser = Parser(
        prog="provision",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="执法记录仪管理员工具：单位密钥、设备登记、领用、策略与吊销。\n"
        "The administrator's tool: agency keys, device register, who holds what, policy, revocation.",
        epilog="从头开始 A first agency:\n"
        "  provision agency init /secure/agency --id sample --name 样例单位 --notice notice.wav\n"
        f"  export {AGENCY_VARIABLE}=/secure/agency\n"
        "  provision officer add officer-1 --name 样例人员 --section section-1\n"
        "  provision dock add dock-1 --name dock.example --out ./dock-1\n"
        "  provision device enrol er-1 --serial SN0001 --section section-1 --out ./er-1\n"
        "  provision assign er-1 officer-1 && provision refresh ./er-1 ./dock-1\n",
    )
    groups = parser.add_subparsers(metavar="命令 COMMAND", required=True)
    _agency(groups)
    _dock(groups)
    _witness(groups)
    _device(groups)
    _officer(groups)
    _holding(groups)
    _ex_approval(groups)
    _policy(groups)
    hazard_parser.add_zones(groups)
    hazard_parser.add_hazard(groups)
    assignment_parser.add_assignment(groups)
    retention_commands.add_retention(groups)
    _publish(groups)
    _look(groups)
    _revoke(groups)
    return parser


def _agency(groups: argparse._SubParsersAction[Parser]) -> None:
    parser = add_command(
        add_group(groups, "agency", "单位 the agency"),
        "init",
        commands.agency_init,
        "建立单位：根证书、文件签名密钥、归档密钥。\n"
        "Makes an agency: root certificate, document key, archive key, register, empty CRL.\n"
        "归档私钥 archive.agekey 可解密全部证据，请立即移至离线介质。\n"
        "archive.agekey opens all evidence: move it off this computer at once.\n"
        "各密钥文件不设口令，磁盘须加密。 The key files have no passphrase: keep them on an encrypted disk.",
        "agency init /secure/agency --id sample --name 样例单位 --notice notice.wav --escrow",
        agency=False,
    )
    parser.add_argument("dir", type=Path, metavar="DIR", help="新目录 a folder that does not exist yet")
    parser.add_argument("--id", required=True, help="单位编号 a-z 0-9 -")
    parser.add_argument("--name", required=True, help="单位名称 the agency's full name")
    parser.add_argument(
        "--notice", type=Path, metavar="WAV", help="告知语音，同时签发第一版策略 also signs the first policy"
    )
    escrow = parser.add_mutually_exclusive_group()
    escrow.add_argument("--escrow", action="store_true", help="另制一把备用解密密钥 make a second decryption key")
    escrow.add_argument(
        "--escrow-recipient", metavar="AGE1...", help="使用他处保管的备用公钥 or name one kept elsewhere"
    )
    add_days(parser, "--root-days", ROOT_DAYS, "根证书有效天数 the root's validity")


def _dock(groups: argparse._SubParsersAction[Parser]) -> None:
    group = add_group(groups, "dock", "采集站 docking stations")
    parser = add_command(
        group,
        "add",
        commands.dock_add,
        "登记采集站并生成其证书目录。\n"
        "Adds a dock and writes its folder: TLS key and certificate, receipt and witness keys, CRL, trust, policy.\n"
        "密钥由本命令在此计算机生成。 The keys are made here, on this computer, into the folder.",
        "dock add dock-1 --name dock.example --name 192.0.2.10 --out ./dock-1",
    )
    parser.add_argument("dock", metavar="ID", help="编号 a-z 0-9 -; shared name space with devices")
    parser.add_argument(
        "--name", action="append", default=[], help="域名或地址，可多次 DNS name or address, repeatable"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="新目录 a folder that does not exist yet"
    )
    add_days(parser, "--tls-days", TLS_DAYS, "TLS 证书有效天数 validity of the TLS certificate")
    for name, run, text in (
        (
            "lost",
            commands.dock_lost,
            "采集站遗失：吊销证书，其收据不再有效。\nLost: certificate revoked, receipts void.",
        ),
        ("retire", commands.dock_retire, "采集站停用：吊销证书，已有收据仍有效。\nRetired: its receipts stay good."),
    ):
        _ending(add_command(group, name, run, text, f"dock {name} dock-1 --note 样例"), "dock")


def _ending(parser: Parser, what: str) -> None:
    parser.add_argument(what, metavar="ID")
    parser.add_argument("--note", default="", help="说明 a remark for the history")


def _witness(groups: argparse._SubParsersAction[Parser]) -> None:
    group = add_group(groups, "witness", "见证方 witnesses that are no docks")
    parser = add_command(
        group,
        "add",
        commands.witness_add,
        "登记见证方：其见证从此计入。编号与公钥由 recorder witness key 给出。\n"
        "Adds a witness: its cosignatures count from now on. Id and key come from its `recorder witness key`.",
        "witness add witness.example/w1 --key=43-characters",
    )
    parser.add_argument("witness", metavar="ID", help="编号，无空格与加号 its name; no spaces, no plus sign")
    parser.add_argument(
        "--key",
        required=True,
        help="公钥，用等号相连 public key, base64url; write --key=KEY, for it may begin with a hyphen",
    )
    remove = add_command(
        group,
        "remove",
        commands.witness_remove,
        "移除见证方：其见证不再计入，包括已有的。\nIts cosignatures no longer count, also those it has made.",
        "witness remove witness.example/w1 --note 样例",
    )
    remove.add_argument("witness", metavar="ID")
    remove.add_argument("--note", default="", help="说明 a remark for the history")


def _device(groups: argparse._SubParsersAction[Parser]) -> None:
    group = add_group(groups, "device", "记录仪 recorders")
    parser = add_command(
        group,
        "enrol",
        commands.device_enrol,
        "登记记录仪并生成其证书目录。\n"
        "Enrols a recorder and writes its folder: identity and TLS keys and certificates, trust, profile, policy,\n"
        "notice.\n"
        "密钥由本命令在此计算机生成，并非由设备生成；装入设备后请删除此目录。\n"
        "The keys are made here, on this computer, not by the device: delete the folder once the device has it.\n"
        "写到一半断电：用 --again 重办。 If cut off half-way: enrol --again.",
        "device enrol er-1 --serial SN0001 --section section-1 --out ./er-1",
    )
    parser.add_argument("device", metavar="ID", help="编号 a-z 0-9 -; the CN of its certificates")
    parser.add_argument("--serial", default="", help="铭牌序列号 the serial number on the plate")
    parser.add_argument("--section", default="", help="科室编号 the section that keeps it")
    parser.add_argument("--officer", metavar="ID", help="同时领用 also assign it")
    parser.add_argument("--notice", type=Path, metavar="WAV", help="告知语音，须与策略一致 must be the policy's notice")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="新目录 a folder that does not exist yet"
    )
    parser.add_argument("--again", action="store_true", help="换发密钥并吊销旧证书 new keys; the former are revoked")
    add_days(parser, "--identity-days", IDENTITY_DAYS, "身份证书有效天数 validity of the identity certificate")
    add_days(parser, "--tls-days", TLS_DAYS, "TLS 证书有效天数 validity of the TLS certificate")
    for name, run, text in (
        (
            "lost",
            commands.device_lost,
            "设备遗失：吊销证书并结束领用。\nThe device is lost: certificates revoked, holding ended.",
        ),
        (
            "retire",
            commands.device_retire,
            "设备停用：吊销证书并结束领用。\nTaken out of service: certificates revoked.",
        ),
    ):
        _ending(add_command(group, name, run, text, f"device {name} er-1 --note 样例"), "device")


def _officer(groups: argparse._SubParsersAction[Parser]) -> None:
    group = add_group(groups, "officer", "执法人员 officers")
    parser = add_command(
        group,
        "add",
        commands.officer_add,
        "登记执法人员。\nAdds an officer. Ids are never used again.",
        "officer add officer-1 --name 样例人员 --section section-1",
    )
    parser.add_argument("officer", metavar="ID", help="编号 a-z 0-9 -")
    parser.add_argument("--name", required=True, help="姓名 name")
    parser.add_argument("--section", required=True, help="科室编号 section id")
    leave = add_command(
        group,
        "leave",
        commands.officer_leave,
        "人员离岗（须先归还）。\nThe officer leaves; refused while holding a device.",
        "officer leave officer-1",
    )
    leave.add_argument("officer", metavar="ID")


def _holding(groups: argparse._SubParsersAction[Parser]) -> None:
    for name, run, text, officer in (
        (
            "assign",
            commands.assign,
            "领用：一人一机（第十六条）。\nR16: the officer takes the device; refused if either is taken.",
            True,
        ),
        ("return", commands.give_back, "归还。\nThe device is returned; nobody holds it.", False),
        (
            "transfer",
            commands.transfer,
            "移交给另一人，作为一次变更记入。\nFrom its holder straight to another officer.",
            True,
        ),
    ):
        example = f"{name} er-1" + (" officer-1" if officer else "") + " --out profile.jws"
        parser = add_command(groups, name, run, f"{text}\n签发新的设备档案。 Signs a new profile.", example)
        parser.add_argument("device", metavar="DEVICE")
        if officer:
            parser.add_argument("officer", metavar="OFFICER")
        parser.add_argument("--out", type=Path, metavar="FILE", help="写出 profile.jws write the new profile here")


def _ex_approval(groups: argparse._SubParsersAction[Parser]) -> None:
    parser = add_command(
        add_group(groups, "ex-approval", "防爆合格证 explosion-protection approvals"),
        "add",
        commands.ex_approval_add,
        "登记防爆合格证并签发新的设备档案（第十三条）。\n"
        "R13.1: enters the approval, bound to the unit's serial number, and signs a new profile.",
        'ex-approval add er-1 --marking "Ex ib IIC T4 Gb" --certificate CNEx00.0000 --issuer 样例机构 '
        "--expires 2031-12-31 --out profile.jws",
    )
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("--marking", required=True, help='铭牌标志 as on the plate: "Ex ib IIC T4 Gb"')
    parser.add_argument("--certificate", required=True, help="证书编号 certificate number")
    parser.add_argument("--issuer", required=True, help="发证机构 issuer")
    parser.add_argument(
        "--expires", required=True, metavar="YYYY-MM-DD", help="有效期至当日（北京时间） good through this day, UTC+8"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出 profile.jws write the new profile here")


def _policy(groups: argparse._SubParsersAction[Parser]) -> None:
    group = add_group(groups, "policy", "策略 policy (article 4)")
    show = add_command(
        group, "show", commands.policy_show, "显示现行策略。\nShows the policy in force.", "policy show --json"
    )
    show.add_argument("--out", type=Path, metavar="FILE", help="写出 policy.jws write the signed policy here")
    parser = add_command(
        group,
        "sign",
        commands.policy_sign,
        "签发新一版策略；未给出的值不变，版本只升不降。\n"
        "Signs the next policy: what is not given stays as it is. Versions only rise.",
        "policy sign --notice notice.wav --must-be-heard --receipts-needed 2 --out policy.jws",
    )
    parser.add_argument("--notice", type=Path, metavar="WAV", help="告知语音 the notice that must be heard (R12.1)")
    parser.add_argument("--notice-text", metavar="TEXT", help="语音的文字 the words in it")
    flag = argparse.BooleanOptionalAction
    parser.add_argument("--must-be-heard", action=flag, help="须由麦克风证实 a microphone must have heard it")
    parser.add_argument("--notice-repeat", action=flag, help="录制开头再播一次 again as its first words")
    parser.add_argument("--tone-seconds", type=int, metavar="N", help="录制提示音间隔 tone interval (5-3600; 0 off)")
    parser.add_argument("--hazard-max-age-seconds", type=int, metavar="N", help="危险信号最长时效 (1-600)")
    parser.add_argument(
        "--stale-counts-as-set", action=flag, help="信号未知按危险处理 unknown counts as hazardous (R13.1)"
    )
    parser.add_argument(
        "--assumed-zone", metavar="ZONE", help='来源未指明区域时按此 where none is named: "1 IIB T4", or none'
    )
    parser.add_argument("--power-down", action=flag, help="遇爆炸危险自动关机 switch off where R13.1 refuses")
    parser.add_argument("--battery-alarm-minutes", type=int, metavar="N", help="电量提醒 warning (5-30)")
    parser.add_argument("--battery-seal-minutes", type=int, metavar="N", help="电量停录 seal what there is (1-)")
    parser.add_argument("--segment-seconds", type=int, metavar="N", help="分段时长 segment length (1-60)")
    parser.add_argument("--epoch-lines", type=int, metavar="N", help="每把密钥最多签名行数 lines per key (1-65536)")
    parser.add_argument(
        "--receipts-needed", type=int, metavar="N", help="释放空间所需收据数 receipts to free space (1-8)"
    )
    parser.add_argument("--release-after-hours", type=int, metavar="N", help="收据满多久方可释放 wait after it (0-720)")
    parser.add_argument("--minimum-free-mib", type=int, metavar="N", help="低于此空间不开始录制 no start below this")
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出 policy.jws write the signed policy here")


def _publish(groups: argparse._SubParsersAction[Parser]) -> None:
    trust = add_command(
        add_group(groups, "trust", "信任文件 trust"),
        "export",
        commands.trust_export,
        "写出核验者所需的公开信任文件。\nWhat a verifier needs: root, CRL, keys, docks, witnesses. Public.",
        "trust export --out trust.json",
    )
    trust.add_argument("--out", type=Path, metavar="FILE", help="默认输出到屏幕 default: standard output")
    parser = add_command(
        groups,
        "refresh",
        commands.refresh_folders,
        "更新设备或采集站目录中的公开文件（密钥不变）。\n"
        "Brings trust, policy, profile, notice, CRL and register of device and dock folders up to date; keys stay.",
        "refresh ./er-1 ./dock-1",
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    crl = add_command(
        add_group(groups, "crl", "吊销列表 revocation list"),
        "sign",
        commands.crl_sign,
        "重新签发吊销列表（过期前）。\n"
        "Signs the CRL anew, before it is overdue: an overdue CRL makes brokers refuse everybody.",
        "crl sign --out crl.pem",
    )
    crl.add_argument("--out", type=Path, metavar="FILE", help="写出 crl.pem")


def _look(groups: argparse._SubParsersAction[Parser]) -> None:
    parser = add_command(
        groups, "list", commands.list_rows, "列出登记内容。\nLists the register.", "list devices --json"
    )
    kinds = ("devices", "officers", "docks", "witnesses", "certificates", "holdings")
    parser.add_argument("kind", nargs="?", choices=kinds, default="devices", help="(default: devices)")
    history = add_command(
        groups,
        "history",
        commands.history,
        "显示历史；每条含前一条的摘要，改动即被发现。\n"
        "Shows the history. Each entry names the digest of the one before it.",
        "history er-1",
    )
    history.add_argument("subject", nargs="?", metavar="ID", help="只看此编号 only what names this id")


def _revoke(groups: argparse._SubParsersAction[Parser]) -> None:
    parser = add_command(
        groups,
        "revoke",
        commands.revoke,
        "吊销证书并签发新的吊销列表；随后 refresh 各采集站。\n"
        "Revokes one certificate by serial, or all of a device or dock by id; signs a new CRL. Then refresh the docks.",
        "revoke er-1 --reason key_compromise --out crl.pem",
    )
    parser.add_argument("target", metavar="SERIAL|ID")
    reasons = ("unspecified", "key_compromise", "superseded", "cessation_of_operation")
    parser.add_argument("--reason", choices=reasons, default="unspecified")
    parser.add_argument("--out", type=Path, metavar="FILE", help="写出 crl.pem write the new CRL here")
