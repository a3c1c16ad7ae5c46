"""Lays vectors out and asks the product's verifier: ``python -m tests.vectors.runner [NAME ...]`` says what differs."""

from __future__ import annotations

import json
import sys
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import pyrage

from agent.errors import TrustError, UsageError
from agent.evidence.documents import TrustBundle
from agent.evidence.verification.verifier import Question, verify
from agent.rules.conduct import ConductJudge
from tests.vectors.long import long_ledger

HERE = Path(__file__).parent
REPEATED = 20_000
"""Lines of a long ledger in a usual run; the expectation is the same for any number."""


def load(name: str) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads((HERE / f"{name}.json").read_bytes())
    return vector


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.json"))


def files_of(vector: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its files, those of its base among them."""
    base = {} if vector["base"] is None else load(vector["base"])["files"]
    return {path: one for path, one in base.items() if not _is_removed(path, vector["removed"])} | vector["files"]


def lay_out(vector: dict[str, Any], folder: Path, repeated: int | None = REPEATED) -> None:
    """Makes the vector's files in an empty folder. ``repeated``: lines of a long ledger; None: as many as it says."""
    for path, one in files_of(vector).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if "link" in one:
            target.symlink_to(one["link"])
        elif "folder" in one:
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(b64decode(one["base64"]) if "base64" in one else one["text"].encode())
    if "repeat" in vector:
        long_ledger(folder / vector["path"], vector["repeat"]["lines"] if repeated is None else repeated)


def _is_removed(path: str, removed: list[str]) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in removed)


def run(vector: dict[str, Any], folder: Path, repeated: int | None = REPEATED) -> dict[str, Any]:
    """What the product finds, in the form of ``expected``."""
    lay_out(vector, folder, repeated)
    options = vector["options"]
    notes = tuple(note.encode() for note in options["notes"])
    return ask(folder, vector["path"], options["identity"], notes, options["accept_simulated"])


def ask(folder: Path, path: str, identity: str | None, notes: tuple[bytes, ...], simulated: bool) -> dict[str, Any]:
    """Asks the product about what lies in a folder beside its ``trust.json``."""
    try:
        question = Question(
            TrustBundle.from_json((folder / "trust.json").read_bytes()),
            ConductJudge,
            identity=pyrage.x25519.Identity.from_str(identity) if identity else None,
            notes=notes,
            accept_simulated=simulated,
        )
        report = verify(folder / path, question)
    except (TrustError, UsageError):
        return {"error": True}
    found = sorted((finding.code, finding.device, finding.where) for finding in report.findings)
    return {
        "axes": dict(report.axes()),
        "rules": dict(report.rules()),
        "findings": [{"code": code, "device": device, "where": where} for code, device, where in found],
    }


def main() -> int:
    differing = 0
    for name in sys.argv[1:] or names():
        vector = load(name)
        with tempfile.TemporaryDirectory(prefix="er-vector-") as place:
            got = run(vector, Path(place))
        if got != vector["expected"]:
            differing += 1
            print(f"{name}: {vector['about']}")
            for key in sorted(set(got) | set(vector["expected"])):
                _show(key, got.get(key), vector["expected"].get(key))
    print(f"{differing} differ")
    return 1 if differing else 0


def _show(key: str, got: Any, expected: Any) -> None:
    """What differs of one part, as lines to read."""
    if isinstance(got, list) and isinstance(expected, list):
        unexpected, missing = ([" ".join(one.values()) for one in many] for many in (got, expected))
        rows = [f"found, not expected: {one}" for one in unexpected if one not in missing]
        rows += [f"expected, not found: {one}" for one in missing if one not in unexpected]
        rows += [f"{len(got)} findings, {len(expected)} expected"] if len(got) != len(expected) else []
    elif isinstance(got, dict) and isinstance(expected, dict):
        rows = [f"{key} {one}: {got[one]}, expected {expected.get(one)}" for one in got if got[one] != expected[one]]
    else:
        rows = [f"{key}: {got}, expected {expected}"] if got != expected else []
    for row in rows:
        print("   ", row)


if __name__ == "__main__":
    sys.exit(main())
