"""Good evidence, of every kind that there is; and good evidence of which something cannot be judged."""

from __future__ import annotations

from itertools import pairwise

from tests.vectors import age
from tests.vectors.agency import DEVICE, DOCK, OTHER_DOCK, SECOND, WITNESS, approval
from tests.vectors.builder import Bundle, brief, scenario, small
from tests.vectors.pieces import Folder, Link, hazard_input, heard, interlock
from tests.vectors.primitives import Dice
from tests.vectors.recorder import Recorder, Recording


@scenario("good-small", "Two recordings, a receipt, witnessed: nothing is found.")
def good_small(b: Bundle) -> None:
    small(b)


@scenario("good-small-with-identity", "The same with the archive's key: every content is what its entry says.")
def good_small_with_identity(b: Bundle) -> None:
    small(b)
    b.with_identity()


@scenario("good-brief", "One recording, witnessed: nothing is found.")
def good_brief(b: Bundle) -> None:
    brief(b, one_recording)


def one_recording(d: Recorder) -> None:
    """The first, and nothing else."""
    d.record("first")


def day(d: Recorder, *, release: bool = True) -> None:
    """A whole day of one device."""
    d.begin()
    d.enter("hazard", {"state": "clear", "inputs": [hazard_input("clear")]})
    charge = {"battery_percent": 98, "minutes_left": 600, "temperature_millicelsius": 41_500}
    d.enter("health", {"free_bytes": 64_000_000_000} | charge)
    d.restricted(None, "other", d.seal("remark", d.remark()))
    a = d.recording("first", sound=True)
    d.notice(a)
    d.open(a)
    d.segment(a)
    d.mark(a)
    d.photo(a)
    d.telemetry(a)
    d.epoch("lines")
    d.segment(a)
    d.close(a)
    d.enter("hazard", {"state": "set", "inputs": [hazard_input("set", source="zone_map")]})
    refusal = interlock(verdict="refused", rule="R13.1", reason="hazard", hazard="set", inputs=[hazard_input("set")])
    d.enter("refused", {"rule": "R13.1", "reason": "hazard", "interlock": refusal})
    d.enter("hazard", {"state": "clear", "inputs": [hazard_input("clear")]})
    d.heartbeat()
    d.enter("docked", {"state": "in", "dock": DOCK})
    _, receipt = d.receipt()
    if release:
        d.release(receipt, [a.objects[1]])
    d.witnessed()
    d.enter("docked", {"state": "out", "dock": None})
    second_recording(d)
    d.boot()
    d.self_test()
    d.adopt("profile", d.agency.profile(d.name, version=2), 2)
    d.adopt("policy", d.agency.policy(), 1)
    d.record("third", segments=3)
    d.enter("clock", {"step_us": 1000, "before": "ntp", "after": "gnss"})
    d.heartbeat()


def second_recording(d: Recorder) -> Recording:
    """Its notice was played in vain at first, then given in person."""
    r = d.recording("second")
    d.notice(r, frames_consumed=90_000, outcome="failed", failure="interrupted", heard=heard("not_measured"))
    d.notice(r, epoch=False, means="oral")
    d.open(r)
    d.segment(r)
    d.mark(r, "moment")
    d.mark(r, "site_spoken")
    d.segment(r)
    d.close(r)
    return r


@scenario("good", "A whole day: three recordings, a refusal, a dock's receipt and release, a restart; all of it witnessed.")
def good(b: Bundle) -> None:
    d = b.device()
    day(d)
    d.witness()
    d.write()


@scenario("good-with-identity", "The whole day with the archive's key: nothing is unknown but what no ledger holds.")
def good_with_identity(b: Bundle) -> None:
    good(b)
    b.with_identity()


@scenario("good-archive", "Two devices of one agency; beside them a folder without a ledger, a file, and a link to a device.")
def good_archive(b: Bundle) -> None:
    archive(b)


def archive(b: Bundle) -> tuple[Recorder, Recorder]:
    """Both devices."""
    b.path = "archive"
    first = b.device(folder=f"archive/{DEVICE}")
    day(first, release=False)
    first.witness()
    first.write()
    second = b.device(SECOND, folder=f"archive/{SECOND}")
    second.start_us += 600_000_000
    second.begin()
    second.record("other")
    second.witness()
    second.write()
    b.files |= {
        "archive/notes/readme": b"not evidence\n",
        "archive/readme": b"not evidence\n",
        "archive/rec-again": Link(DEVICE),
        "archive/notes/empty": Folder(),
    }
    return first, second


@scenario("good-archive-with-identity", "The same archive with the archive's key.")
def good_archive_with_identity(b: Bundle) -> None:
    archive(b)
    b.with_identity()


@scenario("good-recovered", "The power went in a recording: a torn line cut off, the open piece recovered, the gap entered.")
def good_recovered(b: Bundle) -> None:
    r = brief(b, power_cut).recordings["first"]
    b.expect("GAP", r.at["gap"][0])


@scenario("good-recovered-with-identity", "The same with the archive's key: a recovered piece is not opened.")
def good_recovered_with_identity(b: Bundle) -> None:
    good_recovered(b)
    b.with_identity()


def power_cut(d: Recorder) -> None:
    """A recording that the power cut; and what the next start makes of it."""
    r = d.start("first")
    d.segment(r)
    d.mark(r)
    d.boot(tail_cut_bytes=321)
    whole = age.seal("cut piece", b"x", [d.agency.archive, d.agency.escrow])
    piece = d.put(age.torn(whole), "age")
    d.segment(r, object=piece, start_us=0, duration_us=0, first_frame_us=None, frames=0, recovered=True)
    d.gap(r, "power_cut")
    d.close(r, reason="power_cut")


@scenario("good-boot-after-cut-close", "After a cut the close is the last line before the next start: a boot ends its key.")
def good_boot_after_cut_close(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        d.close(r, reason="shutdown", epoch=False)
        d.boot()
        d.record("second")

    brief(b, change)


@scenario("good-ex-approval", "Recorded under the hazard flag, covered by an approval for this very unit.")
def good_ex_approval(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        covered = interlock(hazard="set", inputs=[hazard_input("set")], approval="SAMPLE-EX-1")
        r = d.recording("first")
        d.notice(r)
        d.open(r, interlock=covered)
        d.segment(r)
        d.mark(r)
        d.enter("hazard", {"state": "set", "inputs": [hazard_input("set")]})
        d.segment(r)
        d.segment(r)
        d.close(r)

    brief(b, change, begun=lambda d: d.begin(profile=d.agency.profile(ex_approval=approval())))


@scenario("good-stale-allowed", "A stale input, and a policy by which stale does not count as set.")
def good_stale_allowed(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        hazard = {"max_age_us": 1_000_000, "stale_counts_as_set": False, "assumed_zone": None}
        hazard |= {"zone_map": None, "power_down": False}
        d.begin(policy=d.agency.policy(hazard=hazard))

    def change(d: Recorder) -> None:
        d.record("first", interlock=interlock(hazard="stale", inputs=[hazard_input("clear", 1_000_001)]))

    brief(b, change, begun=begun)


@scenario("good-fixed", "A fixed camera, its notice a sign: no mark is asked for.")
def good_fixed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "fixed")
        d.notice(r, means="posted")
        d.open(r)
        d.segment(r)
        d.segment(r)
        d.close(r)

    brief(b, change)
    b.with_identity()


@scenario("good-audio", "Sound alone; the pieces begin where samples begin, rounded down to microseconds.")
def good_audio(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "audio")
        r.sound = {"codec": "aac", "sample_rate": 44_100, "channels": 1}
        d.notice(r)
        d.open(r)
        starts = [number * 86 * 1024 * 1_000_000 // 44_100 for number in range(4)]
        for begin, end in pairwise(starts):
            d.segment(r, start_us=begin, duration_us=end - begin)
        d.mark(r, "site_spoken")
        d.close(r)

    brief(b, change)
    b.with_identity()


@scenario("good-photo", "A still picture alone: no film, no mark.")
def good_photo(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first", "photo")
        d.photo(r)
        d.close(r, reason="photo")

    brief(b, change)
    b.with_identity()


@scenario("good-photo-then-film", "A still picture and then a film of the same matter: no film was stopped and started again.")
def good_photo_then_film(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "photo", matter="matter-one")
        d.notice(r)
        d.open(r)
        d.photo(r)
        d.close(r, reason="photo")
        d.record("second", matter="matter-one")

    brief(b, change)


@scenario("good-gap-entered-hole", "Media time has a hole and a gap was entered before the next segment: only the gap is found.")
def good_gap_entered_hole(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        d.gap(r, "camera", missing_us=3_000_000, dropped=6)
        d.segment(r, start_us=5_000_000)
        d.close(r, dropped=6)

    r = brief(b, change).recordings["first"]
    b.expect("GAP", r.at["gap"][0])
    b.with_identity()


@scenario("good-unknown-optional-type", "An entry of a type that nobody knows and everybody may skip.")
def good_unknown_optional_type(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.enter("x-sample_type-1", {"anything": [1, {"else": None}], "recording": 7})
        d.record("first")
        d.enter("x-0", {})

    brief(b, change)


@scenario("good-renewed-certificate", "The second start shows another certificate of the same device, for another key.")
def good_renewed_certificate(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.identity = Dice("renewed identity").key()
        d.certificate = d.agency.certificate(DEVICE, d.identity)
        d.boot()
        d.record("second")

    brief(b, change)


@scenario("good-pieces-beside", "Pieces being written, the folder of what was unlisted and the index lie beside: none is evidence.")
def good_pieces_beside(b: Bundle) -> None:
    d = small(b)
    d.files |= {
        "objects/0123456789abcdef-0.open": b"begun",
        "objects/0123456789abcdef-1.sealed": b"whole",
        "objects/.hidden": b"temporary",
        "unlisted/0123": b"found without its line",
        "index/tree": b"a cache",
        "readme": b"not evidence\n",
    }


@scenario("good-note-from-witness", "A note that a witness kept, with its cosignature alone; older, and of the same history. Another that says nothing.")
def good_note_from_witness(b: Bundle) -> None:
    d = small(b)
    b.agency.witnesses.setdefault("nobody.sample", Dice("nobody").key())
    b.notes = [d.note(9, own=False, by=(WITNESS,)), d.note(12, own=False, by=("nobody.sample",))]


@scenario("good-witnessed-by-given-note", "No cosigned note in the folder; a witness has kept one, and it is given.")
def good_witnessed_by_given_note(b: Bundle) -> None:
    d = small(b)
    del d.files["cosigned"]
    b.notes = [d.note(own=False, by=(WITNESS,))]


@scenario("good-newer-than-note", "The newest lines are not witnessed yet: no finding, and nothing unknown.")
def good_newer_than_note(b: Bundle) -> None:
    d = small(b)
    d.heartbeat()
    d.files["checkpoint"] = d.note(by=()).encode()
    d.write()


@scenario("unwitnessed", "Nobody has cosigned anything: a cut end would not show.")
def unwitnessed(b: Bundle) -> None:
    d = small(b)
    del d.files["cosigned"]
    b.witnessed = False


@scenario("unwitnessed-unknown-witness", "Cosigned only by somebody whom the trust file does not know.")
def unwitnessed_unknown_witness(b: Bundle) -> None:
    d = small(b)
    b.agency.witnesses.setdefault("nobody.sample", Dice("nobody").key())
    d.files["cosigned"] = d.note(by=("nobody.sample",)).encode()
    b.witnessed = False


@scenario("unwitnessed-without-source", "No time source vouches for the clock, and no witness either.")
def unwitnessed_without_source(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.source = "none"
        d.record("third")
        d.source = "ntp"

    d = small(b, change)
    del d.files["cosigned"]
    b.witnessed, b.unvouched = False, True


@scenario("good-without-source", "No time source vouches for the clock, but a witness does.")
def good_without_source(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.source = "none"
        d.record("third")

    small(b, change)


@scenario("without-source-after-note", "The last entry has no time source and is newer than what the witness saw.")
def without_source_after_note(b: Bundle) -> None:
    d = small(b)
    d.source = "none"
    d.heartbeat()
    d.write()
    b.unvouched = True


@scenario("simulated-accepted", "Simulated hardware, and a reader who accepts it.")
def simulated_accepted(b: Bundle) -> None:
    small(b, hardware="simulated")
    b.accept_simulated = True


@scenario("released-and-kept", "Released against a receipt, but not deleted yet.")
def released_and_kept(b: Bundle) -> None:
    d = b.device()
    d.begin()
    r = d.record("first")
    _, receipt = d.receipt()
    d.release(receipt, r.objects, delete=False)
    d.witness()
    d.write()


@scenario("released-by-two-receipts", "Two receipts, of two docks; each covers what was released against it.")
def released_by_two_receipts(b: Bundle) -> None:
    d = b.device()
    d.begin()
    first = d.record("first")
    _, one = d.receipt(first.objects)
    second = d.record("second")
    _, two = d.receipt(second.objects, dock=OTHER_DOCK)
    d.release(two, second.objects)
    d.release(one, first.objects)
    d.witness()
    d.write()
