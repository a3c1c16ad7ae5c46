"""The findings by step and code with their places, and what could not be judged; both of bounded length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from agent.evidence.verification.findings import AXIS_TEXT, MEANINGS, RULES, STEPS, Axis
from agent.evidence.verification.page_markup import Child, Safe, both, clean, el, join, said, table
from agent.evidence.verification.page_moments import number
from agent.evidence.verification.page_texts import PLACES
from agent.evidence.verification.report import MAX_PLACES, Finding, Report, Unknown

PLACES_ON_PAGE: Final = 2_000
"""Places listed on one page, shared among the codes found."""
_FEWEST: Final = 20
"""Places of a code that are listed however many codes there are."""
_DETAIL: Final = 300
_DEVICES_NAMED: Final = 12


def total_of(report: Report) -> dict[str, int]:
    """How many findings of each code there are, in the order of the table; never fewer than are listed."""
    listed = Counter(finding.code for finding in report.findings)
    return {code: count for code in MEANINGS if (count := max(report.counts[code], listed[code]))}


def findings_by_step(report: Report) -> Safe:
    """Step by step, code by code."""
    totals = total_of(report)
    if not totals:
        return el("p", both("没有发现。", "There are no findings."), " ", _reminder())
    limit = max(_FEWEST, min(MAX_PLACES, PLACES_ON_PAGE // len(totals)))
    by_code: dict[str, list[Finding]] = {code: [] for code in totals}
    for finding in report.findings:
        by_code[finding.code].append(finding)
    several = len(report.devices) > 1
    parts: list[Safe] = []
    for step, (chinese, english) in enumerate(STEPS, 1):
        codes = [code for code in totals if MEANINGS[code].step == step]
        if codes:
            parts.append(el("h3", both(f"第 {step} 步 {chinese}", f"Step {step}: {english}")))
            parts += [_code(code, totals[code], fairly(by_code[code], limit), several) for code in codes]
    return join(parts)


def _reminder() -> Safe:
    return both("没有发现不等于证明没有问题，见第七节。", "Nothing found is not proof that nothing is wrong: see 7.")


def fairly(findings: Sequence[Finding], limit: int) -> list[Finding]:
    """As many as may be listed, taking from every device in turn, in their order."""
    if len(findings) <= limit:
        return list(findings)
    seen: Counter[str] = Counter()
    ranks = []
    for index, finding in enumerate(findings):
        ranks.append((seen[finding.device], index))
        seen[finding.device] += 1
    return [findings[index] for _, index in sorted(sorted(ranks)[:limit], key=lambda rank: rank[1])]


def sentence(english: str) -> str:
    """With a capital and a full stop."""
    return f"{english[:1].upper()}{english[1:]}."


def _code(code: str, total: int, listed: Sequence[Finding], several: bool) -> Safe:
    meaning = MEANINGS[code]
    axis = f"{AXIS_TEXT[meaning.axis][0]} {meaning.axis.value}"
    rule = f" · 规则 {meaning.rule} {RULES[meaning.rule][0]}" if meaning.rule else ""
    chips = el("p", el("code", code), f"{axis}{rule} · 共 {number(total)} 项 in all", class_="chips")
    title = el("h4", both(f"{meaning.chinese}。", sentence(meaning.english)))
    return el("section", title, chips, _places(listed, several), _more(total - len(listed)), class_="code")


def _places(listed: Sequence[Finding], several: bool) -> Safe | None:
    if not listed:
        return None
    head: list[Child] = [both("位置", "place"), both("所见", "what was seen there")]
    rows: list[list[Child]] = [[_place(one.where), said(one.detail, _DETAIL) if one.detail else "—"] for one in listed]
    if several:
        head.insert(0, both("设备", "device"))
        for row, one in zip(rows, listed, strict=True):
            row.insert(0, said(one.device, 64))
    return table(head, rows, "places")


def _place(where: str) -> Safe:
    """The place as the format names it, its kind in Chinese before."""
    where = clean(where, 200)
    chinese = PLACES.get(where.split(" ", 1)[0])
    return join(f"{chinese} " if chinese else None, said(where))


def _more(rest: int) -> Safe | None:
    if rest <= 0:
        return None
    words = both(f"另有 {number(rest)} 项没有在此列出。", f"{number(rest)} more are not listed here.")
    return el("p", words, class_="note")


# What could not be judged


def not_judged(report: Report) -> Safe:
    """What, why, and for which devices; the same reason is said once."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in report.unknown:
        groups.setdefault((one.about, one.chinese, one.english), []).append(one.device)
    if not groups:
        return el("p", both("各项都已判断。", "Everything could be judged."))
    order = {about: index for index, about in enumerate([*(axis.value for axis in Axis), *RULES])}
    keys = sorted(groups, key=lambda key: order.get(key[0], len(order)))[: 2 * len(order)]
    several = len(report.devices) > 1
    head: list[Child] = [both("事项", "what"), both("原因", "why")]
    rows: list[list[Child]] = [
        [_about(about), el("div", both(f"{chinese}。", sentence(english)), class_="under")]
        for about, chinese, english in keys
    ]
    if several:
        head.append(both("设备", "device"))
        for row, key in zip(rows, keys, strict=True):
            row.append(_whom(groups[key], len(report.devices)))
    return join(table(head, rows, "unknown"), _more(len(groups) - len(keys)))


def _about(about: str) -> Safe:
    if about in RULES:
        return both(f"{about} {RULES[about][0]}", RULES[about][1])
    if about in AXIS_TEXT:
        return both(AXIS_TEXT[Axis(about)][0], about)
    return said(about, 64)


def _whom(devices: Sequence[str], of: int) -> Safe:
    names = list(dict.fromkeys(devices))
    if len(names) >= of > 1:
        return both(f"全部 {number(of)} 台", "all of them")
    rest = len(names) - _DEVICES_NAMED
    more = f" … +{number(rest)}" if rest > 0 else None
    return join([[said(name, 64), " "] for name in names[:_DEVICES_NAMED]], more)


def abouts(unknown: Iterable[Unknown]) -> list[str]:
    """Axes and rules that could not be judged, each once."""
    return list(dict.fromkeys(one.about for one in unknown))
