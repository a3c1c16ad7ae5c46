"""What somebody does to files who holds no key: bits, swaps, removals, links, cuts."""

from __future__ import annotations

from tests.vectors.agency import DEVICE, SECOND
from tests.vectors.builder import Bundle, cut, flip, remove, scenario, small
from tests.vectors.pieces import Content, Folder, Link, Ref, path_of, place_of
from tests.vectors.primitives import Dice
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_good import archive, day

# One bit


def ref_at(d: Recorder, seq: int) -> Ref:
    """The object that an entry names."""
    return next(ref for at, ref in d.named if at == seq)


def altered(b: Bundle, d: Recorder, ref: Ref) -> None:
    flip(d, path_of(ref))
    b.expect("OBJECT_ALTERED", place_of(ref))


@scenario("bit-of-segment", "One bit of a segment is flipped.")
def bit_of_segment(b: Bundle) -> None:
    d = small(b)
    altered(b, d, d.recordings["first"].pieces[0])


@scenario("bit-of-segment-with-identity", "One bit of a segment is flipped; the key is not asked to open what is not the ledger's.")
def bit_of_segment_with_identity(b: Bundle) -> None:
    bit_of_segment(b)
    b.with_identity()


@scenario("bit-of-photo", "One bit of a photo is flipped.")
def bit_of_photo(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["photo"][0]))


@scenario("bit-of-particulars", "One bit of the particulars is flipped.")
def bit_of_particulars(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["open"][0]))


@scenario("bit-of-telemetry", "One bit of the telemetry is flipped.")
def bit_of_telemetry(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["telemetry"][0]))


@scenario("bit-of-profile", "One bit of the profile is flipped: it is not judged as a document, and nothing is in force.")
def bit_of_profile(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["adopted"][0]))


@scenario("bit-of-policy", "One bit of the policy is flipped.")
def bit_of_policy(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["adopted"][1]))


@scenario("bit-of-receipt", "One bit of a receipt is flipped: it is altered, and no receipt any more.")
def bit_of_receipt(b: Bundle) -> None:
    d = small(b)
    altered(b, d, ref_at(d, d.at["receipt"][0]))
    b.expect("RECEIPT_INVALID", d.at["receipt"][0])


@scenario("bit-of-receipt-after-release", "The receipt against which an object was released and deleted has a bit flipped.")
def bit_of_receipt_after_release(b: Bundle) -> None:
    d = b.device()
    day(d)
    d.witness()
    d.write()
    altered(b, d, ref_at(d, d.at["receipt"][0]))
    b.expect("RECEIPT_INVALID", d.at["receipt"][0])
    b.expect("RELEASED_UNCOVERED", d.at["released"][0])
    b.expect("OBJECT_MISSING", place_of(d.recordings["first"].pieces[0]))


# Other contents


@scenario("segment-truncated", "The last byte of a segment is gone.")
def segment_truncated(b: Bundle) -> None:
    d = small(b)
    shorten(d, d.recordings["first"].pieces[0], -1)
    b.expect("OBJECT_ALTERED", place_of(d.recordings["first"].pieces[0]))


def shorten(d: Recorder, ref: Ref, end: int) -> None:
    data = d.files[path_of(ref)]
    assert isinstance(data, bytes)
    d.files[path_of(ref)] = data[:end]


@scenario("segment-emptied", "A segment is an empty file.")
def segment_emptied(b: Bundle) -> None:
    d = small(b)
    shorten(d, d.recordings["first"].pieces[0], 0)
    b.expect("OBJECT_ALTERED", place_of(d.recordings["first"].pieces[0]))


@scenario("segment-extended", "A byte is added to a segment.")
def segment_extended(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["first"].pieces[0]
    d.files[path_of(piece)] += b"\0"  # type: ignore[operator]
    b.expect("OBJECT_ALTERED", place_of(piece))


@scenario("segments-swapped", "Two segments have each other's name.")
def segments_swapped(b: Bundle) -> None:
    d = small(b)
    one, two = d.recordings["second"].pieces
    d.files[path_of(one)], d.files[path_of(two)] = d.files[path_of(two)], d.files[path_of(one)]
    b.expect("OBJECT_ALTERED", place_of(one))
    b.expect("OBJECT_ALTERED", place_of(two))


@scenario("segment-replaced-by-older", "Under a segment's name lies one of an older recording.")
def segment_replaced_by_older(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["second"].pieces[0]
    d.files[path_of(piece)] = d.files[path_of(d.recordings["first"].pieces[0])]
    b.expect("OBJECT_ALTERED", place_of(piece))


@scenario("file-unlisted", "A file that no entry names.")
def file_unlisted(b: Bundle) -> None:
    d = small(b)
    name = f"{Dice('a file nobody named').hex(64)}.age"
    d.files[f"objects/{name}"] = b"nobody named this"
    b.expect("OBJECT_UNLISTED", f"file {name}")


@scenario("files-unlisted-of-odd-names", "A copy under another ending, a folder, a link, a short name: none is an object's name.")
def files_unlisted_of_odd_names(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["first"].pieces[0]
    odd: dict[str, Content] = {
        f"{piece['digest']}.jws": d.files[path_of(piece)],
        f"{piece['digest'].upper()}.age": d.files[path_of(piece)],
        "a folder": Folder(),
        "a link": Link("../ledger.jws"),
        "x": b"",
        "open": b"",
        "名": b"",
    }
    for name, content in odd.items():
        d.files[f"objects/{name}"] = content
        b.expect("OBJECT_UNLISTED", f"file {name}")


# Things that are not there


@scenario("segment-missing", "One segment of a recording is missing.")
def segment_missing(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["second"].pieces[1]
    remove(d, [piece])
    b.expect("OBJECT_MISSING", place_of(piece))


@scenario("particulars-missing-file", "The particulars of a recording are missing; its film is there.")
def particulars_missing_file(b: Bundle) -> None:
    d = small(b)
    remove(d, [d.recordings["second"].objects[0]])
    b.expect("OBJECT_MISSING", place_of(d.recordings["second"].objects[0]))


@scenario("photo-of-photo-missing", "The only photo of a recording is missing, and the particulars with it: the recording is removed.")
def photo_of_photo_missing(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third", "photo")
        d.photo(r)
        d.close(r, reason="photo")

    d = small(b, change)
    remove(d, d.recordings["third"].objects)
    b.expect("RECORDING_REMOVED", d.recordings["third"].place)


@scenario("recording-removed-newest", "All objects of the newest recording are removed; its entries stand.")
def recording_removed_newest(b: Bundle) -> None:
    d = small(b)
    remove(d, d.recordings["second"].objects)
    b.expect("RECORDING_REMOVED", d.recordings["second"].place)


@scenario("recording-removed-but-particulars", "All film of a recording is removed; its particulars stay.")
def recording_removed_but_particulars(b: Bundle) -> None:
    d = small(b)
    remove(d, d.recordings["second"].pieces)
    b.expect("RECORDING_REMOVED", d.recordings["second"].place)


@scenario("recording-removed-oldest", "All objects of the oldest recording are removed.")
def recording_removed_oldest(b: Bundle) -> None:
    d = small(b)
    remove(d, d.recordings["first"].objects)
    b.expect("RECORDING_REMOVED", d.recordings["first"].place)


@scenario("recording-removed-middle", "All objects of a recording in the middle are removed.")
def recording_removed_middle(b: Bundle) -> None:
    d = b.device()
    day(d)
    d.witness()
    d.write()
    remove(d, d.recordings["second"].objects)
    b.expect("RECORDING_REMOVED", d.recordings["second"].place)


@scenario("profile-missing", "The profile is missing.")
def profile_missing(b: Bundle) -> None:
    d = small(b)
    remove(d, [ref_at(d, 2)])
    b.expect("OBJECT_MISSING", place_of(ref_at(d, 2)))


@scenario("policy-missing", "The policy is missing.")
def policy_missing(b: Bundle) -> None:
    d = small(b)
    remove(d, [ref_at(d, 3)])
    b.expect("OBJECT_MISSING", place_of(ref_at(d, 3)))


@scenario("receipt-missing", "The receipt is missing.")
def receipt_missing(b: Bundle) -> None:
    d = small(b)
    seq = d.at["receipt"][0]
    remove(d, [ref_at(d, seq)])
    b.expect("OBJECT_MISSING", place_of(ref_at(d, seq)))
    b.expect("RECEIPT_INVALID", seq)


@scenario("archive-released-object-lost", "An object was released by the device; the archive, which should have it, has not.")
def archive_released_object_lost(b: Bundle) -> None:
    b.path = "archive"
    d = b.device(folder=f"archive/{DEVICE}")
    day(d)
    d.witness()
    d.write()
    b.expect("OBJECT_MISSING", place_of(d.recordings["first"].pieces[0]))


@scenario("archive-one-device-attacked", "In an archive, one device lacks a segment and another is cut.")
def archive_one_device_attacked(b: Bundle) -> None:
    first, second = archive(b)
    piece = first.recordings["third"].pieces[2]
    remove(first, [piece])
    b.expect("OBJECT_MISSING", place_of(piece))
    cut(second, second.size - 1)
    for where in ("checkpoint", "cosigned"):
        b.expect("LEDGER_CUT", where, SECOND)
    b.witnessed = False


@scenario("archive-device-without-ledger", "In an archive, the ledger of one device is gone: it is no device folder any more, and nothing shows that.")
def archive_device_without_ledger(b: Bundle) -> None:
    _, second = archive(b)
    del second.files["ledger.jws"]


# Links and folders


@scenario("link-for-segment", "A link to the very bytes stands in a segment's place.")
def link_for_segment(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["first"].pieces[0]
    d.files["elsewhere"] = d.files[path_of(piece)]
    d.files[path_of(piece)] = Link("../elsewhere")
    b.expect("OBJECT_MISSING", place_of(piece))


@scenario("folder-for-segment", "A folder stands in a segment's place.")
def folder_for_segment(b: Bundle) -> None:
    d = small(b)
    piece = d.recordings["first"].pieces[0]
    d.files[path_of(piece)] = Folder()
    b.expect("OBJECT_MISSING", place_of(piece))


@scenario("link-for-profile", "A link to the very bytes stands in the profile's place.")
def link_for_profile(b: Bundle) -> None:
    d = small(b)
    d.files["elsewhere"] = d.files[path_of(ref_at(d, 2))]
    d.files[path_of(ref_at(d, 2))] = Link("../elsewhere")
    b.expect("OBJECT_MISSING", place_of(ref_at(d, 2)))


@scenario("link-for-objects", "The folder of objects is a link to a folder that has them all.")
def link_for_objects(b: Bundle) -> None:
    d = small(b)
    for path in [path for path in d.files if path.startswith("objects/")]:
        b.files[f"elsewhere/{path.removeprefix('objects/')}"] = d.files.pop(path)
    d.files["objects"] = Link("../elsewhere")
    for r in d.recordings.values():
        b.expect("RECORDING_REMOVED", r.place)
    for seq in (2, 3, d.at["receipt"][0]):
        b.expect("OBJECT_MISSING", place_of(ref_at(d, seq)))
    b.expect("RECEIPT_INVALID", d.at["receipt"][0])


@scenario("link-for-checkpoint", "A link to the checkpoint stands in its place: it is as if it were not there.")
def link_for_checkpoint(b: Bundle) -> None:
    d = small(b)
    d.files["elsewhere"] = d.files["checkpoint"]
    d.files["checkpoint"] = Link("elsewhere")


@scenario("link-for-cosigned", "A link to the cosigned note stands in its place: nothing is witnessed.")
def link_for_cosigned(b: Bundle) -> None:
    d = small(b)
    d.files["elsewhere"] = d.files["cosigned"]
    d.files["cosigned"] = Link("elsewhere")
    b.witnessed = False


@scenario("checkpoints-removed", "Both notes are removed: nothing is witnessed.")
def checkpoints_removed(b: Bundle) -> None:
    d = small(b)
    del d.files["checkpoint"], d.files["cosigned"]
    b.witnessed = False


def unreadable(b: Bundle, d: Recorder) -> None:
    """No ledger: what is found all the same."""
    b.expect("LEDGER_UNREADABLE", "ledger")
    for where in ("checkpoint", "cosigned"):
        b.expect("LEDGER_CUT", where)
    for path in d.files:
        if path.startswith("objects/"):
            b.expect("OBJECT_UNLISTED", f"file {path.removeprefix('objects/')}")
    b.recordings = b.witnessed = False


@scenario("ledger-emptied", "The ledger has no bytes: nothing lists the objects, and the notes speak of more.")
def ledger_emptied(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] = b""
    unreadable(b, d)


@scenario("ledger-linked", "The ledger is a link to a good copy of it.")
def ledger_linked(b: Bundle) -> None:
    d = small(b)
    b.files["copy.jws"] = d.files["ledger.jws"]
    d.files["ledger.jws"] = Link("../copy.jws")
    unreadable(b, d)


@scenario("ledger-folder", "The ledger is a folder.")
def ledger_folder(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] = Folder()
    unreadable(b, d)


@scenario("ledger-missing", "The ledger is gone: what is left is no evidence.")
def ledger_missing(b: Bundle) -> None:
    d = small(b)
    del d.files["ledger.jws"]
    b.error = True
