"""The report as one page for a judge: read on a screen or printed, and nothing in it is loaded from anywhere.

Everything that comes from evidence is hostile until escaped: it enters only as text, through ``page_markup``.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from agent.evidence.verification.findings import AXIS_TEXT, MEANINGS, RULES, STEPS, Axis
from agent.evidence.verification.page_devices import devices_of
from agent.evidence.verification.page_findings import abouts, findings_by_step, not_judged, sentence, total_of
from agent.evidence.verification.page_markup import Child, Safe, both, clean, el, english, join, said, table
from agent.evidence.verification.page_moments import iso_text, iso_us, length_text, number
from agent.evidence.verification.page_texts import (
    ABOUT,
    AXIS_SENTENCES,
    NOT_PROVED,
    STEP_SENTENCES,
    TITLE,
    VERDICTS,
)
from agent.evidence.verification.report import Report, Verdict

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing may be loaded or run, whatever got into the page."""
ENTERED: Final = ("GAP", "CLOCK_STEPPED")
"""Findings that the device itself entered, as it must."""
_NUMERALS: Final = "一二三四五六七八"


def render(report: Report, about: Mapping[str, Any]) -> str:
    """The page. ``about``: what was judged, when and with what, under the keys of ``page_texts.ABOUT``.

    The same report gives the same page. It does not grow without bound: what is left out is said.
    """
    latest = iso_us(str(about.get("judged_at") or ""))
    sections = (
        ("检验对象与方法", "What was judged, and with what", _about(about)),
        ("逐项结论", "Verdict by axis and by rule", join(_axes(report), _rules(report))),
        ("发现", "Findings", findings_by_step(report)),
        ("无法判断的事项", "What could not be judged", not_judged(report)),
        ("设备与时间轴", "Devices and their timelines", devices_of(report, latest)),
        ("检验的十个步骤", "The ten steps of verification", _steps()),
        ("本报告不能证明什么", "What this report does not prove", _not_proved()),
        ("怎样自行复核", "How to check it again yourself", _again(about)),
    )
    body = el(
        "main",
        el("header", el("h1", both(*TITLE)), el("p", said(str(about.get("path") or "—"), 500))),
        _simulated(report, about),
        _summary(report, about),
        [
            el("section", el("h2", both(f"{numeral}、{zh}", en)), content)
            for numeral, (zh, en, content) in zip(_NUMERALS, sections, strict=True)
        ],
        el("footer", both("报告完。", "End of the report."), class_="note"),
    )
    return f"<!DOCTYPE html>\n{el('html', _head(), el('body', body), lang='zh-CN').text}\n"


@cache
def _style() -> Safe:
    return Safe(files("agent.evidence.verification").joinpath("page.css").read_text("utf-8"))


def _head() -> Safe:
    return el(
        "head",
        el("meta", charset="utf-8"),
        Safe(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />'),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", " ".join(TITLE)),
        el("style", _style()),
    )


# The summary


def _simulated(report: Report, about: Mapping[str, Any]) -> Safe | None:
    if not any(one.simulated for one in report.devices):
        return None
    zh = "有设备使用了模拟硬件：所录不是真实场景，不能作为真实记录使用。"
    en = "Some hardware was simulated: this is not a recording of anything real."
    if about.get("accept_simulated"):
        zh += "检验时按要求没有把这一点算作发现。"
        en += " As asked, this was not counted as a finding."
    return el("p", both(zh, en), class_="warn")


def _summary(report: Report, about: Mapping[str, Any]) -> Safe:
    totals = total_of(report)
    count, open_ = sum(totals.values()), len(abouts(report.unknown))
    found_zh = f"发现 {number(count)} 项问题（{number(len(totals))} 种）" if count else "未发现问题"
    open_zh = f"；有 {number(open_)} 项无法判断" if open_ else "；各项都已判断"
    found_en = "nothing was found"
    if count:
        found_en = f"{_counted(count, 'finding')} of {_counted(len(totals), 'kind')}"
    open_en = f"{_counted(open_, 'question')} could not" if open_ else "everything could"
    lead = both(
        join("在所检验的范围内，", el("strong", found_zh, open_zh), "。"),
        f"Within what was examined: {found_en}; {open_en} be judged.",
    )
    points = [_by_axis(report), _entered(totals), _witnessed(report), _key(about), _no_one_word()]
    items = [el("li", point, class_="under") for point in points if point is not None]
    return el("div", el("p", lead, class_="lead"), el("ul", items), class_="summary")


def _counted(count: int, word: str) -> str:
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def _by_axis(report: Report) -> Safe | None:
    found = [Axis(axis) for axis, verdict in report.axes().items() if verdict == "finding"]
    if not found:
        return None
    zh = "、".join(AXIS_TEXT[axis][0] for axis in found)
    return both(f"发现涉及：{zh}。各项含义见第二节，具体位置见第三节。", f"They concern {', '.join(found)}; see 2 and 3.")


def _entered(totals: Mapping[str, int]) -> Safe | None:
    count = sum(totals.get(code, 0) for code in ENTERED)
    if not count:
        return None
    return both(
        f"其中 {number(count)} 项是设备自己如实登记的缺口或时钟跳变，不是隐瞒。",
        f"{number(count)} of them are gaps or clock steps that the device itself entered, as it must.",
    )


def _witnessed(report: Report) -> Safe:
    entries = sum(one.entries for one in report.devices)
    if not entries:
        return both("没有可以检验的账本条目。", "There are no ledger entries to examine.")
    left = sum(one.unwitnessed_entries for one in report.devices)
    if not left:
        return both(
            f"共 {number(entries)} 个账本条目，全部经设备以外的见证人签名见证。",
            f"All {number(entries)} ledger entries are covered by a witness outside the device.",
        )
    return both(
        f"共 {number(entries)} 个账本条目在手，{number(left)} 个条目未经见证：账本末尾若在此范围内被删，看不出来。",
        f"{number(entries)} ledger entries are at hand; {number(left)} are not witnessed: a cut there would not show.",
    )


def _key(about: Mapping[str, Any]) -> Safe:
    if about.get("with_identity"):
        return both("检验时持有档案私钥，已打开内容核对。", "The archive identity was given: content was opened and compared.")
    return both(
        "检验时没有档案私钥：只核对了加密文件的大小和摘要，没有打开内容。",
        "No archive identity was given: sealed files were checked by size and digest; their content was not opened.",
    )


def _no_one_word() -> Safe:
    return both(
        "本报告不以一个词作总评。未发现问题不等于证明没有问题，请连同第四节和第七节一并阅读。",
        "There is no verdict in one word. Nothing found is not proof that nothing is wrong: read 4 and 7 as well.",
    )


# Tables


def _about(about: Mapping[str, Any]) -> Safe:
    """Only what was stated; whether a key was given and what was accepted is always said."""
    values: dict[str, Child] = {key: said(str(about[key]), 500) for key in ABOUT if about.get(key) is not None}
    for key in ("judged_at", "crl_as_of"):
        if about.get(key):
            values[key] = iso_text(str(about[key]))
    values["with_identity"] = both("已给出", "given") if about.get("with_identity") else both("没有给出", "not given")
    accepted = about.get("accept_simulated")
    values["accept_simulated"] = both("按要求不算作发现", "accepted, as asked") if accepted else both("算作发现", "a finding")
    values["notes"] = str(about.get("notes") or 0)
    values["seconds"] = _seconds(about.get("seconds"))
    rows = [(both(*ABOUT[key]), values[key]) for key in ABOUT if values.get(key) is not None]
    return table((), rows, "pairs")


def _seconds(value: Any) -> Child:
    if not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return f"{value:.1f} s" if value < 60 else both(*length_text(int(value)))


def _verdict(verdict: Verdict, partly: bool) -> Safe:
    """By shape and in words; colour only helps."""
    shape, zh, en = VERDICTS[verdict]
    more = el("span", both("另有未能判断之处", "and in part not judged"), class_="partly") if partly else None
    return join(el("span", shape, class_=f"sign {verdict}"), el("span", both(zh, en), class_=f"word {verdict}"), more)


def _axes(report: Report) -> Safe:
    unknown, totals = set(abouts(report.unknown)), total_of(report)
    rows = []
    for axis, verdict in report.axes().items():
        count = sum(total for code, total in totals.items() if MEANINGS[code].axis == axis)
        asked = el("div", both(*AXIS_SENTENCES[Axis(axis)]), class_="under")
        zh, en = AXIS_TEXT[Axis(axis)]
        name = el("div", el("strong", zh), english(f"{axis}: {en}"), class_="under")
        rows.append((_verdict(verdict, verdict == "finding" and axis in unknown), name, asked, number(count)))
    head = (both("结论", "verdict"), both("方面", "axis"), both("问的是什么", "what is asked"), both("发现", "found"))
    return join(el("h3", both("七个方面", "Seven axes")), table(head, rows, "verdicts"))


def _rules(report: Report) -> Safe:
    unknown, totals = set(abouts(report.unknown)), total_of(report)
    rows = []
    for rule, verdict in report.rules().items():
        count = sum(total for code, total in totals.items() if MEANINGS[code].rule == rule)
        sign = _verdict(verdict, verdict == "finding" and rule in unknown)
        rows.append((sign, rule, both(*RULES[rule]), number(count)))
    head = (both("结论", "verdict"), both("规则", "rule"), both("内容", "about"), both("发现", "found"))
    note = both(
        "R 后的数字是执法记录规定的条、款。一项发现可以同时计入一个方面和一条规则。",
        "The number after R is the article of the regulation. A finding may count against an axis and a rule.",
    )
    title = el("h3", both("各条规则", "Rules of the regulation"))
    return join(title, table(head, rows, "verdicts rules"), el("p", note, class_="note"))


# What is true of every report


def _steps() -> Safe:
    items = []
    for (zh, en), told in zip(STEPS, STEP_SENTENCES, strict=True):
        items.append(el("li", el("strong", zh), "。", english(sentence(en)), el("div", both(*told), class_="under")))
    return el("ol", items)


def _not_proved() -> Safe:
    return el("ul", [el("li", both(*pair), class_="under") for pair in NOT_PROVED])


def command_of(about: Mapping[str, Any]) -> str:
    """The command that judges the same again."""
    parts = ["recorder", "verify", shlex.quote(clean(str(about.get("path") or "PATH"), 500)), "--trust", "trust.json"]
    parts += ["--identity", "archive.agekey"] if about.get("with_identity") else []
    parts += ["--accept-simulated"] if about.get("accept_simulated") else []
    return " ".join([*parts, "--html", "report.html"])


def _again(about: Mapping[str, Any]) -> Safe:
    zh = (
        "任何人都可以复核，不需要本单位的私钥。从可信途径取得单位的信任文件，"
        "先核对其 SHA-256 摘要与第一节所列是否一致，再在装有同一版本软件的计算机上运行："
    )
    en = (
        "Anybody can, without any key of the agency. Get the agency's trust file by a way that you trust, compare its "
        "SHA-256 with the one in 1, and run this with the same version of the software:"
    )
    notes = str(about.get("notes") or 0)
    more = both(
        f"检验时另交了 {notes} 份见证签名，复核时须用 --note 逐份给出。",
        f"{notes} further witness notes were given: give each of them again with --note.",
    )
    return join(
        el("p", zh),
        el("p", english(en)),
        el("pre", el("code", "sha256sum trust.json"), Safe("\n"), el("code", command_of(about))),
        el("p", more) if notes != "0" else None,
        el("p", _exit_codes()),
        el("p", _others()),
    )


def _exit_codes() -> Safe:
    return both(
        "退出码 0：各方面均未发现问题；1：有发现；2：有方面无法判断。加 --json 得到供机器读取的完整报告。",
        "Exit code 0: nothing found on any axis; 1: findings; 2: some axis could not be judged. "
        "--json gives the whole report, for machines.",
    )


def _others() -> Safe:
    return both(
        "证据格式有书面规范：也可以不用本软件，以通用工具（age、jq、ffprobe、openssl）或自己写的程序逐项核对。",
        "The evidence format has a written specification: it can be checked without this software too, "
        "with stock tools (age, jq, ffprobe, openssl) or a program of one's own.",
    )
