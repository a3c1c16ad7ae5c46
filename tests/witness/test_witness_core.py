"""What the witness decides, answer by answer, and what it remembers over restarts."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from samples import TIME, Enrolled, boot_fields, enrol
from witness_rig import KEY, NAME, NOW, ORIGIN, Bench, Ledger, cosignature

from agent.errors import StorageError, StorageFullError, TrustError
from agent.evidence.checkpoint import Checkpoint, cosigned_at, open_note, sign_checkpoint
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import dump_json
from agent.evidence.ledger import LedgerWriter
from agent.evidence.shapes import dump_shape
from agent.witness.alarms import MAX_KEPT
from agent.witness.keyring import MAX_CANDIDATES
from agent.witness.memory import Memory, Remembered
from agent.witness.protocol import SIZE_TYPE, dump_checkpoint
from agent.witness.trusts import Trusts
from provisioning.agency import Agency


def test_a_ledger_is_cosigned_from_its_first_checkpoint_on_through_growth_key_changes_and_boots(
    bench: Bench, ledger: Ledger
) -> None:
    """Every honest step gets a cosignature that verifies, with the witness's time."""
    old = 0
    for _ in range(3):
        for step in (ledger.grow, ledger.epoch, ledger.boot):
            step()
            answer = bench.offer(ledger, old)
            blob = cosignature(ledger, answer).blob
            assert int.from_bytes(blob[:8], "big") == NOW
            old = ledger.size


def test_what_it_says_at_each_refusal_is_what_the_protocol_says(bench: Bench, ledger: Ledger) -> None:
    """404: unknown ledger; 403: no known key; 400: malformed; 409: another size is known; 422: not proved."""
    assert bench.core.add_checkpoint(ledger.body(0)).status == 404
    bench.core.add_keys(ledger.keys_body())
    stranger = sign_checkpoint(Checkpoint(ORIGIN, ledger.size, ledger.root()), SigningKey.generate())
    assert bench.core.add_checkpoint(dump_checkpoint(0, [], stranger)).status == 403
    assert bench.core.add_checkpoint(b"old 0\n" + ledger.note()).status == 400
    assert bench.core.add_checkpoint(dump_checkpoint(ledger.size + 1, [], ledger.note())).status == 400
    assert bench.core.add_checkpoint(dump_checkpoint(0, [b"\0" * 32], ledger.note())).status == 422
    assert bench.core.add_checkpoint(ledger.body(0)).status == 200
    size, grown = ledger.size, ledger.copy().grow()
    conflict = bench.core.add_checkpoint(grown.body(0))
    assert (conflict.status, conflict.body, conflict.kind) == (409, b"%d\n" % size, SIZE_TYPE)
    assert bench.core.add_checkpoint(dump_checkpoint(size, [], grown.note())).status == 422
    assert bench.core.add_checkpoint(grown.body(size)).status == 200
    other = grown.note().replace(ORIGIN.encode(), b"foreign/enforcement-recorder/er-1")
    assert bench.core.add_checkpoint(dump_checkpoint(0, [], other)).status == 404


def test_the_same_checkpoint_again_is_cosigned_again_and_changes_nothing(bench: Bench, ledger: Ledger) -> None:
    """An answer that was lost on its way can be had again; the memory keeps the first."""
    bench.offer(ledger, 0)
    before = (bench.folder / "memory" / "sample.er-1.json").read_bytes()
    bench.now += 60
    again = bench.offer(ledger, ledger.size)
    assert int.from_bytes(cosignature(ledger, again).blob[:8], "big") == NOW + 60
    assert (bench.folder / "memory" / "sample.er-1.json").read_bytes() == before


def test_two_roots_at_one_size_are_a_fork_kept_with_both_notes_and_once(bench: Bench, ledger: Ledger) -> None:
    """Whatever old size it is offered with; the two notes prove it to anybody."""
    other = ledger.copy().grow(1, "other")
    bench.offer(ledger.grow(), 0)
    first = ledger.note().decode()
    assert bench.offer(other, other.size, keys=False).status == 422
    assert bench.offer(other, 0, keys=False).status == 409
    assert bench.kinds() == ["fork"]
    (path,) = (bench.folder / "alarms").iterdir()
    assert path.name == "sample.er-1-fork-000.json"
    alarm = bench.again().core._alarms.kept[0]
    assert alarm.offered == other.note().decode() and alarm.cosigned.startswith(first)
    assert cosigned_at(open_note(alarm.cosigned.encode()), NAME, bytes(KEY.verify_key)) == NOW
    bench.offer(other, other.size, keys=False)
    assert bench.kinds() == ["fork"]


def test_growth_that_does_not_continue_what_was_cosigned_is_refused_and_kept(bench: Bench, ledger: Ledger) -> None:
    """A rewritten and then longer ledger has no proof; that is kept apart from a fork, which proves itself."""
    other = ledger.copy().grow(5, "other")
    bench.offer(ledger.grow(2), 0)
    assert bench.offer(other, ledger.size, keys=False).status == 422
    assert bench.kinds() == ["inconsistent"]


def test_a_ledger_rolled_back_is_told_the_size_and_kept_as_evidence(bench: Bench, ledger: Ledger) -> None:
    """Storage restored to an earlier state, booted again: 409, and the two notes are kept, bounded in number."""
    bench.offer(ledger.grow(80), 0)
    size = ledger.size
    restored = ledger.rolled_back(10).boot()
    for _ in range(MAX_KEPT + 5):
        answer = bench.offer(restored.grow(), 0)
        assert (answer.status, answer.body) == (409, b"%d\n" % size)
    assert bench.kinds() == ["rollback"] * MAX_KEPT
    fork = ledger.rolled_back(size - 1).boot()
    assert bench.offer(fork, size).status == 422
    assert bench.kinds().count("fork") == 1, "old copies do not crowd a fork out"


def test_a_ledger_rolled_back_far_is_kept_as_evidence_though_its_keys_are_past(bench: Bench, ledger: Ledger) -> None:
    """A boot line before the key last cosigned signs nothing more, but shows that it was the device's own word."""
    bench.offer(ledger.epoch().grow(5).epoch().grow(5), 0)
    size = ledger.size
    restored = ledger.rolled_back(3).boot().grow()
    assert bench.again().offer(restored, 0).status == 409
    assert bench.offer(restored.grow(size), 0).status == 403
    assert bench.kinds() == ["inconsistent", "rollback"]
    assert bench.offer(restored.epoch().grow(), size).status == 422
    assert bench.offer(ledger.grow(), size).status == 200


def test_a_witness_restarted_goes_on_with_the_last_key_it_knows(bench: Bench, ledger: Ledger) -> None:
    """Neither size nor key is forgotten; new keys come from the epoch lines that the known key signs."""
    bench.offer(ledger, 0)
    size = ledger.size
    bench.again()
    assert bench.offer(ledger.grow(), size, keys=False).status == 200
    size = ledger.size
    assert bench.offer(ledger.epoch().grow(), size, keys=False).status == 403
    last = ledger.key_lines()[-1][1] + b"\n"
    assert bench.again().core.add_keys(last).status == 200
    assert bench.offer(ledger, size, keys=False).status == 200


def test_an_old_key_signs_nothing_more(bench: Bench, ledger: Ledger) -> None:
    """A key that has named its successor cannot sign for the lines after that; who tries it is kept as an alarm."""
    thief = ledger.copy()
    bench.offer(ledger, 0)
    size = ledger.size
    ledger.epoch().grow(3)
    bench.core.add_keys(ledger.keys_body())
    assert bench.offer(thief.grow(4, "other"), size, keys=False).status == 403
    assert bench.offer(ledger, size).status == 200
    assert bench.again().offer(thief.grow(9, "other"), ledger.size, keys=False).status == 403
    assert bench.kinds() == ["inconsistent"]
    assert bench.offer(thief, ledger.size).status == 403
    assert bench.kinds() == ["inconsistent", "inconsistent"]


def test_a_forged_boot_with_an_enormous_number_locks_nobody_out(bench: Bench, ledger: Ledger) -> None:
    """Whoever has stolen the identity key adds candidates, as many as he likes; the true device goes on."""
    bench.offer(ledger, 0)
    size = ledger.size
    writer = LedgerWriter("er-1", 2**52)
    fields = boot_fields(ledger.enrolled, 9)
    forged = [writer.boot(ledger.enrolled.key("er-1"), TIME, **fields) for _ in range(3)]
    own = LedgerWriter("er-1", 2**50, new_key=lambda: ledger.writer.epoch_key)
    forged.append(own.boot(ledger.enrolled.key("er-1"), TIME, **fields))  # names the true key, far ahead
    for line in forged:
        assert bench.core.add_keys(line + b"\n").status == 200
    chain = [writer.next_epoch("lines", TIME) for _ in range(MAX_CANDIDATES + 100)]
    for start in range(0, len(chain), 300):
        assert bench.core.add_keys(b"".join(line + b"\n" for line in chain[start : start + 300])).status == 200
    assert len(bench.core._ledgers[ORIGIN].keys) <= MAX_CANDIDATES
    assert bench.offer(ledger.grow(), size, keys=False).status == 200
    size = ledger.size
    assert bench.offer(ledger.epoch().grow(), size).status == 200
    size = ledger.size
    assert bench.offer(ledger.boot().grow(), size).status == 200


def test_who_only_signs_what_is_known_does_not_become_the_known_key(bench: Bench, ledger: Ledger) -> None:
    """The known checkpoint under a forged boot's key is cosigned, being true, and the device's own key stays known."""
    bench.offer(ledger, 0)
    size = ledger.size
    thief = LedgerWriter("er-1", size - 1)
    line = thief.boot(ledger.enrolled.key("er-1"), TIME, **boot_fields(ledger.enrolled, 9))
    assert bench.core.add_keys(line + b"\n").status == 200
    note = sign_checkpoint(Checkpoint(ORIGIN, size, ledger.root()), thief.epoch_key)
    assert bench.core.add_checkpoint(dump_checkpoint(size, [], note)).status == 200
    assert bench.again().offer(ledger.grow(), size, keys=False).status == 200


@pytest.mark.parametrize(
    "wrong", ["other agency", "other device", "other key", "epoch unknown", "not a key line", "disorder"]
)
def test_lines_that_no_known_key_vouches_for_are_refused(
    bench: Bench, ledger: Ledger, tmp_path: Path, wrong: str
) -> None:
    """A boot needs a certificate of a trusted agency for that very device, an epoch line a key known before it."""
    status = 403
    if wrong == "other agency":
        (tmp_path / "elsewhere").mkdir()
        body = Ledger(enrol(tmp_path / "elsewhere")).boot().keys_body()
    elif wrong == "other device":
        fields = boot_fields(ledger.enrolled, 0, ledger.enrolled.certificate("er-2"))
        body = LedgerWriter("er-1").boot(ledger.enrolled.key("er-2"), TIME, **fields) + b"\n"
    elif wrong == "other key":
        body = LedgerWriter("er-1").boot(SigningKey.generate(), TIME, **boot_fields(ledger.enrolled)) + b"\n"
    elif wrong == "epoch unknown":
        body = ledger.epoch().lines[-1] + b"\n"
    elif wrong == "not a key line":
        body, status = ledger.lines[1] + b"\n", 400
    else:
        body, status = b"".join(line + b"\n" for line in (ledger.epoch().lines[-1], ledger.lines[0])), 400
    assert bench.core.add_keys(body).status == status


def test_a_revoked_device_is_refused_as_soon_as_the_trust_file_says_so(tmp_path: Path) -> None:
    """Neither its boot lines are learned nor its checkpoints cosigned, though its key is remembered."""
    enrolled = enrol(tmp_path)
    trust = tmp_path / "trust.json"
    trust.write_bytes((tmp_path / "er-1" / "trust.json").read_bytes())
    bench, ledger = Bench(tmp_path / "witness", trust), Ledger(enrolled).boot().grow()
    assert bench.offer(ledger, 0).status == 200
    with Agency(tmp_path / "agency", writable=True, by="tester") as agency:
        agency.end_device("er-1", "lost")
        trust.write_bytes(agency.trust_json(agency.view()))
    size = ledger.size
    refused = bench.offer(ledger.grow(), size, keys=False)
    assert refused.status == 403 and b"revoked" in refused.body
    assert bench.core.add_keys(ledger.keys_body()).status == 403
    assert bench.again().offer(ledger, size).status == 403


def test_a_trust_file_gone_bad_while_running_leaves_what_was_known(
    bench: Bench, ledger: Ledger, tmp_path: Path
) -> None:
    """It is reported and not taken over; at a start it stops the witness."""
    bench.trust = Path(tmp_path / "trust.json")
    bench.trust.write_bytes((ledger.enrolled.folder / "er-1" / "trust.json").read_bytes())
    bench.again().offer(ledger, 0)
    bench.trust.write_bytes(b"{}")
    assert bench.offer(ledger, ledger.size).status == 200
    with pytest.raises(TrustError):
        bench.again()


def test_trust_files_that_cannot_be_meant_are_refused(enrolled: Enrolled, tmp_path: Path) -> None:
    """Twice the same agency, a list that the root did not sign, a file that is not there."""
    good = enrolled.folder / "er-1" / "trust.json"
    (tmp_path / "elsewhere").mkdir()
    other = enrol(tmp_path / "elsewhere").trust
    found = dump_shape(TrustBundle.from_json(good.read_bytes()))
    bad = tmp_path / "bad.json"
    bad.write_bytes(dump_json({**found, "crl": other.crl}))
    for paths in ([good, good], [bad], [tmp_path / "none"]):
        with pytest.raises(TrustError):
            Trusts(paths)
    bad.write_bytes(dump_json({**found, "crl": "rubbish"}))
    with pytest.raises(TrustError, match="revocation list"):
        Trusts([bad])


@pytest.mark.parametrize("damage", ["torn", "empty", "other name", "other root", "dock's"])
def test_a_memory_that_is_damaged_stops_the_witness_and_is_left_as_it_is(
    bench: Bench, ledger: Ledger, damage: str
) -> None:
    """It says which file; to go on without it would be to cosign anything."""
    bench.offer(ledger, 0)
    path = bench.folder / "memory" / "sample.er-1.json"
    data = path.read_bytes()
    if damage == "other name":
        path = path.rename(path.with_name("sample.er-2.json"))
    elif damage == "dock's":
        Memory(path.parent).keep(Remembered(1, ORIGIN, ledger.size, ledger.root().hex(), ledger.note().decode(), None))
    else:
        changed = {
            "torn": data[:-20],
            "empty": b"",
            "other root": data.replace(ledger.root().hex().encode(), b"0" * 64),
        }
        path.write_bytes(changed[damage])
    before = path.read_bytes()
    with pytest.raises(StorageError):
        bench.again()
    assert path.read_bytes() == before


def test_a_damaged_alarm_stops_the_witness(bench: Bench, ledger: Ledger) -> None:
    """Evidence is not passed over in silence."""
    other = ledger.copy().grow(1, "other")
    bench.offer(ledger.grow(), 0)
    bench.offer(other, other.size, keys=False)
    (path,) = (bench.folder / "alarms").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StorageError, match="alarm"):
        bench.again()


def test_no_cosignature_leaves_when_the_memory_cannot_be_written(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 over HTTP; afterwards the witness still stands where it stood, and cosigns when it can write again."""
    bench.offer(ledger, 0)
    size = ledger.size
    other = ledger.copy().grow(1, "other")
    ledger.grow()

    def full(*_: object) -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("agent.system.durable.write_atomic", full)
        assert bench.post("/add-checkpoint", ledger.body(size)).status == 503
        with pytest.raises(StorageFullError):
            bench.core.add_checkpoint(other.body(size))
    assert bench.offer(other, size).status == 200
    assert bench.offer(ledger, size).status == 409


def test_an_alarm_that_cannot_be_written_does_not_turn_a_refusal_into_a_fault(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork is refused either way."""
    other = ledger.copy().grow(1, "other")
    bench.offer(ledger.grow(), 0)

    def full(*_: object) -> None:
        raise StorageFullError("no room")

    monkeypatch.setattr("agent.system.durable.write_atomic", full)
    assert bench.offer(other, other.size, keys=False).status == 422


def test_other_peoples_signature_lines_are_neither_kept_nor_in_the_way(bench: Bench, ledger: Ledger) -> None:
    """A note full of foreign lines is cosigned; what is remembered holds two lines and can be read again."""
    junk = "".join(f"— n{number} {base64.b64encode(b'junk' * 3).decode()}\n" for number in range(15)).encode()
    bench.core.add_keys(ledger.keys_body())
    assert bench.core.add_checkpoint(dump_checkpoint(0, [], ledger.note() + junk)).status == 200
    note = bench.again().core.checkpoint(hashlib.sha256(ORIGIN.encode()).hexdigest())
    assert note is not None
    assert [one.name for one in open_note(note).signatures] == [ORIGIN, NAME]


def test_two_agencies_with_devices_of_one_name_are_kept_apart(bench: Bench, ledger: Ledger, tmp_path: Path) -> None:
    """An epoch line does not name its agency; it goes to the ledger whose key signed it."""
    from samples import chirp

    from provisioning.agency import Founding, found
    from provisioning.credentials import DeviceOrder, enrol_device

    found(tmp_path / "other" / "agency", Founding("elsewhere", "样例", notice=chirp()), by="tester")
    with Agency(tmp_path / "other" / "agency", writable=True, by="tester") as agency:
        enrol_device(agency, DeviceOrder("er-1", "SN", "section-1"), tmp_path / "other" / "er-1")
    second = Ledger(Enrolled(tmp_path / "other")).boot().epoch().grow()
    trusts = Trusts([bench.trust, tmp_path / "other" / "er-1" / "trust.json"])
    bench.core._trusts = trusts
    ledger.epoch().grow()
    for one, origin in ((ledger, ORIGIN), (second, "elsewhere/enforcement-recorder/er-1")):
        assert bench.core.add_keys(one.keys_body()).body.startswith(origin.encode())
        assert bench.core.add_keys(one.epoch().lines[-1] + b"\n").body.startswith(origin.encode())
    note = sign_checkpoint(Checkpoint(ORIGIN, second.size, second.root()), second.writer.epoch_key)
    assert bench.core.add_checkpoint(dump_checkpoint(0, [], note)).status == 403


def test_a_thief_who_signs_the_devices_own_growth_is_seen_and_the_next_boot_ends_it(
    bench: Bench, ledger: Ledger
) -> None:
    """With the stolen identity key and the true lines he becomes the known key; the device is refused with an alarm."""
    bench.offer(ledger, 0)
    size = ledger.size
    ledger.grow(3)
    thief = LedgerWriter("er-1", ledger.size - 1)
    line = thief.boot(ledger.enrolled.key("er-1"), TIME, **boot_fields(ledger.enrolled, 9))
    assert bench.core.add_keys(line + b"\n").status == 200
    note = sign_checkpoint(Checkpoint(ORIGIN, ledger.size, ledger.root()), thief.epoch_key)
    body = ledger.body(size).partition(b"\n\n")[0] + b"\n\n" + note
    assert bench.core.add_checkpoint(body).status == 200
    size = ledger.size
    assert bench.offer(ledger.grow(), size).status == 403
    assert bench.kinds() == ["inconsistent"]
    assert bench.offer(ledger.boot(), size).status == 200


def test_a_flood_of_forged_boots_does_not_push_out_a_device_that_has_just_booted(bench: Bench, ledger: Ledger) -> None:
    """It offers its checkpoint right after its keys: what came before them is what goes first."""
    bench.offer(ledger, 0)
    size = ledger.size
    ledger.boot().grow()
    fields = boot_fields(ledger.enrolled, 9)
    for number in range(600):
        line = LedgerWriter("er-1", size + number).boot(ledger.enrolled.key("er-1"), TIME, **fields)
        assert bench.core.add_keys(line + b"\n").status == 200
    assert bench.offer(ledger, size).status == 200
