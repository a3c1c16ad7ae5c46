"""What each command of ``provision`` does: from parsed arguments to an Outcome, which the command line prints."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from rich.table import Table

from agent.errors import FormatError, UsageError
from agent.evidence.documents import HazardZone, Policy
from agent.rules.explosion import parse_zone, zone_text
from provisioning import keys
from provisioning.agency import Agency, Founding, found, micros
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device, refresh
from provisioning.outcome import CHINA, Outcome, export, moment, open_agency, said, table, who
from provisioning.policy import MIB, NO_ZONE, Settings
from provisioning.records import Certificate, Document
from provisioning.view import View

_REFRESH: Final = "请更新各目录并分发信任文件。 Done; refresh the folders and hand out the trust file."


def _notice(arguments: Namespace) -> bytes | None:
    return keys.read_bytes(arguments.notice) if arguments.notice is not None else None


def agency_init(arguments: Namespace) -> Outcome:
    """``agency init``."""
    founding = Founding(
        arguments.id,
        arguments.name,
        arguments.root_days,
        arguments.escrow,
        arguments.escrow_recipient,
        _notice(arguments),
    )
    found(arguments.dir, founding, by=who(arguments))
    with Agency(arguments.dir, writable=False) as agency:
        info = asdict(agency.info)
    warning = f"请立即将 {arguments.dir / 'archive.agekey'} 移至离线介质：它可解密全部证据。"
    english = "Move archive.agekey (and escrow.agekey) off this computer now: they open all evidence."
    return Outcome(info, [f"已建立单位 {arguments.id}。 Made the agency in {arguments.dir}.", warning, english])


def dock_add(arguments: Namespace) -> Outcome:
    """``dock add``."""
    with open_agency(arguments, writable=True) as agency:
        add_dock(agency, DockOrder(arguments.dock, arguments.name, arguments.tls_days), arguments.out)
        data = asdict(agency.view().dock(arguments.dock))
    return Outcome(
        data, [f"采集站 {arguments.dock} 的目录已写入 {arguments.out}。 Added; its folder is {arguments.out}."]
    )


def device_enrol(arguments: Namespace) -> Outcome:
    """``device enrol``."""
    if not arguments.again and not (arguments.serial and arguments.section):
        raise UsageError("a new device needs --serial and --section")
    order = DeviceOrder(
        arguments.device,
        arguments.serial,
        arguments.section,
        arguments.officer,
        arguments.identity_days,
        arguments.tls_days,
        arguments.again,
    )
    with open_agency(arguments, writable=True) as agency:
        enrol_device(agency, order, arguments.out, _notice(arguments))
        data = asdict(agency.view().device(arguments.device))
    return Outcome(
        data, [f"记录仪 {arguments.device} 的目录已写入 {arguments.out}。 Enrolled; its folder is {arguments.out}."]
    )


def device_lost(arguments: Namespace) -> Outcome:
    """``device lost``."""
    return _end_device(arguments, "lost")


def device_retire(arguments: Namespace) -> Outcome:
    """``device retire``."""
    return _end_device(arguments, "retired")


def _end_device(arguments: Namespace, state: Literal["lost", "retired"]) -> Outcome:
    with open_agency(arguments, writable=True) as agency:
        done = agency.end_device(arguments.device, state, arguments.note)
    return _revoked(arguments.device, done)


def dock_lost(arguments: Namespace) -> Outcome:
    """``dock lost``."""
    return _end_dock(arguments, "lost")


def dock_retire(arguments: Namespace) -> Outcome:
    """``dock retire``."""
    return _end_dock(arguments, "retired")


def _end_dock(arguments: Namespace, state: Literal["lost", "retired"]) -> Outcome:
    with open_agency(arguments, writable=True) as agency:
        done = agency.end_dock(arguments.dock, state, arguments.note)
    return _revoked(arguments.dock, done)


def witness_add(arguments: Namespace) -> Outcome:
    """``witness add``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        row = change.add_witness(arguments.witness, arguments.key)
    return Outcome(asdict(row), [f"已登记见证方 {row.id}；{_REFRESH}"])


def witness_remove(arguments: Namespace) -> Outcome:
    """``witness remove``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        change.remove_witness(arguments.witness, arguments.note)
    return said(f"已移除见证方 {arguments.witness}；{_REFRESH}", id=arguments.witness, state="removed")


def officer_add(arguments: Namespace) -> Outcome:
    """``officer add``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        row = change.add_officer(arguments.officer, arguments.name, arguments.section)
    return Outcome(asdict(row), [f"已登记 {row.id} {row.name}。 Added officer {row.id}."])


def officer_leave(arguments: Namespace) -> Outcome:
    """``officer leave``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        change.officer_leaves(arguments.officer)
    return said(
        f"{arguments.officer} 已离岗。 Officer {arguments.officer} has left.", id=arguments.officer, state="left"
    )


def assign(arguments: Namespace) -> Outcome:
    """``assign``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        change.assign(arguments.device, arguments.officer)
        profile = agency.sign_profile(change, arguments.device)
    return _held(arguments, profile, arguments.officer, None)


def give_back(arguments: Namespace) -> Outcome:
    """``return``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        former = change.give_back(arguments.device)
        profile = agency.sign_profile(change, arguments.device)
    return _held(arguments, profile, None, former)


def transfer(arguments: Namespace) -> Outcome:
    """``transfer``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        former = change.transfer(arguments.device, arguments.officer)
        profile = agency.sign_profile(change, arguments.device)
    return _held(arguments, profile, arguments.officer, former)


def _held(arguments: Namespace, profile: Document, officer: str | None, former: str | None) -> Outcome:
    export(arguments.out, profile.text.encode())
    version = profile.version
    text = f"{arguments.device}: {former or '-'} → {officer or '-'}；档案第 {version} 版 profile version {version}"
    return said(text, device=arguments.device, officer=officer, former=former, profile_version=version)


def ex_approval_add(arguments: Namespace) -> Outcome:
    """``ex-approval add``."""
    expires_us = _end_of_day(arguments.expires)
    with open_agency(arguments, writable=True) as agency:
        profile = agency.approve_ex(
            arguments.device, arguments.marking, arguments.certificate, arguments.issuer, expires_us
        )
    export(arguments.out, profile.text.encode())
    text = f"{arguments.device}: {arguments.marking}；档案第 {profile.version} 版 profile version {profile.version}"
    return said(text, device=arguments.device, expires_us=expires_us, profile_version=profile.version)


def _end_of_day(text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=CHINA)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date such as 2031-12-31") from error
    return micros(day + timedelta(days=1))


def policy_show(arguments: Namespace) -> Outcome:
    """``policy show``."""
    with open_agency(arguments, writable=False) as agency:
        return _policy_outcome(agency, arguments.out)


def policy_sign(arguments: Namespace) -> Outcome:
    """``policy sign``."""
    settings = Settings(
        notice_text=arguments.notice_text,
        must_be_heard=arguments.must_be_heard,
        notice_repeat=arguments.notice_repeat,
        tone_interval_us=_scaled(arguments.tone_seconds, 1_000_000),
        hazard_max_age_us=_scaled(arguments.hazard_max_age_seconds, 1_000_000),
        stale_counts_as_set=arguments.stale_counts_as_set,
        assumed_zone=_zone(arguments.assumed_zone),
        power_down=arguments.power_down,
        alarm_minutes=arguments.battery_alarm_minutes,
        seal_minutes=arguments.battery_seal_minutes,
        segment_us=_scaled(arguments.segment_seconds, 1_000_000),
        epoch_lines=arguments.epoch_lines,
        receipts_needed=arguments.receipts_needed,
        release_after_us=_scaled(arguments.release_after_hours, 3_600_000_000),
        minimum_free_bytes=_scaled(arguments.minimum_free_mib, MIB),
    )
    with open_agency(arguments, writable=True) as agency:
        agency.sign_policy(settings, _notice(arguments))
        return _policy_outcome(agency, arguments.out)


def _zone(text: str | None) -> HazardZone | Literal[""] | None:
    try:
        return None if text is None else NO_ZONE if text == "none" else parse_zone(text)
    except FormatError as error:
        raise UsageError(f"--assumed-zone: {error}") from error


def _scaled(number: int | None, unit: int) -> int | None:
    return None if number is None else number * unit


def _policy_outcome(agency: Agency, out: Path | None) -> Outcome:
    view = agency.view()
    policy = agency.policy(view)
    export(out, agency.document(view, "policy").text.encode())
    shown: list[str | Table] = [_policy_table(policy)]
    if not policy.hazard.stale_counts_as_set:
        shown.append(
            "警告：危险信号未知时仍允许录制。 Warning: recording is allowed while the hazard state is unknown (R13.1)."
        )
    return Outcome(asdict(policy), shown)


def _policy_table(policy: Policy) -> Table:
    rows = [
        ("版本 version", policy.version),
        ("签发 issued", moment(policy.issued_us)),
        ("告知语音 notice", policy.notice.digest),
        ("告知文字 notice text", policy.notice.text),
        ("须被麦克风听到 must be heard", policy.notice.must_be_heard),
        ("录制开头再播 repeated in it", policy.notice.repeat),
        ("提示音间隔 tone", f"{policy.notice.tone_interval_us / 1e6:g} s" if policy.notice.tone_interval_us else "—"),
        ("危险信号时效 hazard max age", f"{policy.hazard.max_age_us / 1e6:g} s"),
        ("未知即危险 stale counts as set", policy.hazard.stale_counts_as_set),
        ("默认区域 assumed zone", zone_text(policy.hazard.assumed_zone) if policy.hazard.assumed_zone else "—"),
        ("区域图 zone map", policy.hazard.zone_map or "—"),
        ("遇危险关机 power down", policy.hazard.power_down),
        ("电量提醒、停录 battery", f"{policy.battery.alarm_minutes}, {policy.battery.seal_minutes} min"),
        ("分段 segment", f"{policy.segment_us / 1e6:g} s"),
        ("每钥行数 epoch lines", policy.epoch_lines),
        ("所需收据 receipts needed", policy.receipts_needed),
        ("收据后等待 release after", f"{policy.release_after_us / 3.6e9:g} h"),
        ("最小空间 minimum free", f"{policy.minimum_free_bytes // MIB} MiB"),
        *(("接收者 recipient", recipient) for recipient in policy.recipients),
    ]
    return table("策略 policy", ("项目 item", "值 value"), rows)


def trust_export(arguments: Namespace) -> Outcome:
    """``trust export``."""
    with open_agency(arguments, writable=False) as agency:
        view = agency.view()
        data, bundle = agency.trust_json(view), agency.trust(view)
    export(arguments.out, data)
    if arguments.out is None:
        return Outcome(asdict(bundle), [data.decode().rstrip()])
    return Outcome(asdict(bundle), [f"已写入 {arguments.out}。 Wrote {arguments.out}."])


def refresh_folders(arguments: Namespace) -> Outcome:
    """``refresh``."""
    with open_agency(arguments, writable=False) as agency:
        done = [refresh(agency, folder) for folder in arguments.folders]
    return said(f"已更新 {', '.join(done)}。 Refreshed.", refreshed=done)


def crl_sign(arguments: Namespace) -> Outcome:
    """``crl sign``."""
    with open_agency(arguments, writable=True) as agency, agency.change() as change:
        crl = agency.sign_crl(change)
    export(arguments.out, crl.text.encode())
    return said(f"吊销列表第 {crl.version} 号。 CRL number {crl.version}.", crl_number=crl.version)


def revoke(arguments: Namespace) -> Outcome:
    """``revoke``."""
    with open_agency(arguments, writable=True) as agency:
        done = agency.revoke(arguments.target, arguments.reason)
        crl = agency.document(agency.view(), "crl")
    export(arguments.out, crl.text.encode())
    return _revoked(arguments.target, done)


def _revoked(target: str, done: Iterable[Certificate]) -> Outcome:
    serials = [row.serial for row in done]
    text = f"{target}: 已吊销 {len(serials)} 张证书；请对各采集站执行 provision refresh。 Revoked; refresh the docks."
    return said(text, target=target, revoked=serials)


def list_rows(arguments: Namespace) -> Outcome:
    """``list``."""
    with open_agency(arguments, writable=False) as agency:
        view = agency.view()
    if arguments.kind == "devices":
        return _devices(view)
    rows = [asdict(row) for row in getattr(view, arguments.kind)()]
    # Keys and digests are for programs: --json has them.
    heads = [name for name in rows[0] if name not in ("sha256", "receipt_key", "witness_key")] if rows else []
    return Outcome(rows, [table(arguments.kind, heads, [[_cell(name, row[name]) for name in heads] for row in rows])])


def _devices(view: View) -> Outcome:
    data, rows = [], []
    for row in view.devices():
        profile, holder = view.document("profile", row.id), view.holder(row.id)
        version = profile.version if profile else 0
        data.append({**asdict(row), "officer": holder, "profile_version": version})
        marking = row.ex_approval.marking if row.ex_approval else "-"
        rows.append(
            (row.id, row.serial, row.section, row.state, holder or "-", version, marking, moment(row.enrolled_us))
        )
    heads = (
        "编号 id",
        "序列号 serial",
        "科室 section",
        "状态 state",
        "领用人 officer",
        "档案 profile",
        "防爆 Ex",
        "登记 enrolled",
    )
    return Outcome(data, [table("记录仪 recorders", heads, rows)])


def history(arguments: Namespace) -> Outcome:
    """``history``."""
    with open_agency(arguments, writable=False) as agency:
        entries = agency.view().history()
    wanted = [
        entry
        for entry in entries
        if arguments.subject is None or arguments.subject in (entry.subject, *entry.detail.values())
    ]
    rows = [
        (entry.number, moment(entry.at_us), entry.by, entry.action, entry.subject, _pairs(entry.detail))
        for entry in wanted
    ]
    heads = ("号 no", "时间 time", "经办 by", "事项 action", "对象 subject", "内容 detail")
    return Outcome([asdict(entry) for entry in wanted], [table("历史 history", heads, rows)])


def _pairs(detail: dict[str, str]) -> str:
    return " ".join(f"{name}={value if len(value) <= 24 else value[:12] + '…'}" for name, value in detail.items())


def _cell(name: str, value: object) -> object:
    if name.endswith("_us") and isinstance(value, int):
        return moment(value)
    return "-" if value is None else value
