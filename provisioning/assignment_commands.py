"""What ``provision assignment`` does: R12.2, what a recorder is to work on."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from agent.errors import FormatError, UsageError
from agent.evidence.documents import Assignment, HazardZone
from agent.evidence.shapes import load_shape
from agent.rules.explosion import parse_zone
from provisioning.assignments import Signed, read_assignment, sign_assignment
from provisioning.codes import Code, make_code, picture_kind, terminal, write_code
from provisioning.credentials import refresh
from provisioning.outcome import Outcome, export, moment, open_agency

_NEEDED = ("matter", "action", "stage", "party", "site", "officers")


def assignment_sign(arguments: Namespace) -> Outcome:
    """``assignment sign``."""
    return _sign(arguments, read_assignment(arguments.source) if arguments.source else _given(arguments))


def assignment_withdraw(arguments: Namespace) -> Outcome:
    """``assignment withdraw``."""
    return _sign(arguments, None)


def _given(arguments: Namespace) -> Assignment:
    missing = [f"--{name.removesuffix('s')}" for name in _NEEDED if not getattr(arguments, name)]
    if missing:
        raise UsageError(f"还缺 missing: {' '.join(missing)}; or --from FILE")
    fields = {name: getattr(arguments, name) for name in (*_NEEDED, "restricted", "mandatory")}
    try:
        return load_shape(Assignment, {**fields, "hazard": _zone(arguments.hazard)})
    except FormatError as error:
        raise UsageError(str(error)) from error


def _zone(text: str | None) -> HazardZone | None:
    try:
        return parse_zone(text) if text is not None else None
    except FormatError as error:
        raise UsageError(f"--hazard: {error}") from error


def _sign(arguments: Namespace, assignment: Assignment | None) -> Outcome:
    on_paper = arguments.qr is not None and str(arguments.qr) != "-"
    if on_paper:
        picture_kind(arguments.qr)
    with open_agency(arguments, writable=True) as agency:
        signed = sign_assignment(agency, arguments.device, assignment, make_code if arguments.qr else bool)
        docks = [refresh(agency, folder) for folder in arguments.dock]
    token = signed.document.text.encode()
    export(arguments.out, token)
    code = make_code(token) if arguments.qr else None
    if code and on_paper:
        write_code(code, arguments.qr)
    return _outcome(signed, docks, code, arguments.qr)


def _outcome(signed: Signed, docks: list[str], code: Code | None, qr: Path | None) -> Outcome:
    dispatch = signed.dispatch
    matter = dispatch.assignment.matter if dispatch.assignment else None
    text = f"{dispatch.device}: {matter or '已撤回 withdrawn'}，{moment(dispatch.issued_us)}"
    shown: list[str | Table | Text] = [text]
    if signed.stranger:
        shown.append(
            f"提醒：领用人 {signed.stranger} 不在执法人员之列。 Warning: whoever holds it is not among the officers."
        )
    if code:
        size = f"{code.squares} 格 squares；展示宽度不小于 show it at least {code.millimetres} mm wide"
        shown += [terminal(code)] if str(qr) == "-" else []
        shown.append(f"二维码 code: {size}，或靠近镜头 or closer; {code.squares + 8} 列 columns")
    data = {
        "device": dispatch.device,
        "matter": matter,
        "issued_us": dispatch.issued_us,
        "docks": docks,
        "officer_not_named": signed.stranger,
        "code_squares": code.squares if code else None,
    }
    return Outcome(data, shown)
