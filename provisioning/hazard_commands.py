"""What ``provision zones`` and ``provision hazard`` do: R13.1, zone maps and the agency's flag."""

from __future__ import annotations

from argparse import Namespace
from typing import Literal

from rich.table import Table

from agent.errors import FormatError, UsageError
from agent.evidence.documents import HazardZone, Policy
from agent.evidence.encoding import sha256_hex
from agent.rules.explosion import parse_zone, zone_text
from agent.rules.zones import ZoneMap
from provisioning.agency import Agency
from provisioning.credentials import refresh
from provisioning.hazard import HOUR_US, FlagOrder, check_map, remove_map, sign_flag, sign_map
from provisioning.outcome import Outcome, export, moment, open_agency, said, table


def zones_check(arguments: Namespace) -> Outcome:
    """``zones check``."""
    data, zones = check_map(arguments.map)
    digest = sha256_hex(data)
    rows = [{"name": one.name, "zone": zone_text(one.zone), "box": list(one.box)} for one in zones.areas]
    return Outcome({"sha256": digest, "areas": rows}, [_areas(zones), f"sha256 {digest}"])


def _areas(zones: ZoneMap) -> Table:
    heads = ("名称 name", "区域 zone", "点数 positions", "西、南、东、北 west, south, east, north")
    rows = [
        (one.name, zone_text(one.zone), sum(map(len, one.rings)), ", ".join(f"{degrees:.5f}" for degrees in one.box))
        for one in zones.areas
    ]
    return table("区域图 zone map", heads, rows)


def zones_sign(arguments: Namespace) -> Outcome:
    """``zones sign``."""
    with open_agency(arguments, writable=True) as agency:
        return _signed(arguments, agency, sign_map(agency, arguments.map))


def zones_remove(arguments: Namespace) -> Outcome:
    """``zones remove``."""
    with open_agency(arguments, writable=True) as agency:
        return _signed(arguments, agency, remove_map(agency))


def _signed(arguments: Namespace, agency: Agency, policy: Policy) -> Outcome:
    export(arguments.out, agency.document(agency.view(), "policy").text.encode())
    version, digest = policy.version, policy.hazard.zone_map
    text = (
        f"区域图 zone map: {digest or '-'}；策略第 {version} 版；请 refresh 各记录仪。 Refresh the recorders' folders."
    )
    return said(text, zone_map=digest, policy_version=version)


def hazard_set(arguments: Namespace) -> Outcome:
    """``hazard set``."""
    return _flag(arguments, "set", _zone(arguments.zone))


def hazard_clear(arguments: Namespace) -> Outcome:
    """``hazard clear``."""
    return _flag(arguments, "clear", None)


def hazard_withdraw(arguments: Namespace) -> Outcome:
    """``hazard withdraw``."""
    return _flag(arguments, "withdrawn", None)


def _zone(text: str | None) -> HazardZone | None:
    try:
        return parse_zone(text) if text is not None else None
    except FormatError as error:
        raise UsageError(f"--zone: {error}") from error


def _flag(arguments: Namespace, state: Literal["set", "clear", "withdrawn"], zone: HazardZone | None) -> Outcome:
    with open_agency(arguments, writable=True) as agency:
        signed = sign_flag(agency, FlagOrder(state, zone, arguments.devices, arguments.hours))
        docks = [refresh(agency, folder) for folder in arguments.dock]
    export(arguments.out, signed.text.encode())
    expires_us = signed.issued_us + arguments.hours * HOUR_US
    whom = ", ".join(arguments.devices) or "全部 all"
    text = (
        f"危险标志第 {signed.version} 号 hazard flag {signed.version}: {state}, {whom}, 至 until {moment(expires_us)}"
    )
    return said(
        text, version=signed.version, state=state, devices=arguments.devices or None, expires_us=expires_us, docks=docks
    )
