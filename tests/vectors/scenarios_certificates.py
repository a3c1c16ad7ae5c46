"""Certificates of others, out of time, revoked; lists that are none; hardware that is simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors import der
from tests.vectors.agency import DAY_US, DEVICE, DOCK, HOUR_US, SECOND, START_US, WITNESS, agency
from tests.vectors.builder import Bundle, brief, scenario, small, tiny
from tests.vectors.primitives import Dice, b64, b64url
from tests.vectors.recorder import Recorder

OTHER = agency("other-agency")


def shows(name: str, about: str, certificate: Callable[[Recorder], x509.Certificate]) -> None:
    """The first boot shows this certificate; the key in it is the device's, unless that is the point."""

    def build(b: Bundle) -> None:
        d = b.device()
        d.certificate = certificate(d)
        d.begin()
        d.record("first")
        d.witness()
        d.write()
        b.expect("CERTIFICATE", 0)

    scenario(name, about)(build)


shows("certificate-of-other-agency", "A certificate that another agency's root issued.", lambda d: OTHER.certificate(DEVICE, d.identity))
shows("certificate-of-other-root", "A certificate in this agency's name, signed by another root.", lambda d: d.agency.certificate(DEVICE, d.identity, signed_by=OTHER.root_key))
shows("certificate-of-other-issuer", "A certificate that this root signed in another issuer's name.", lambda d: d.agency.certificate(DEVICE, d.identity, issuer=OTHER.root.subject))
shows("certificate-for-tls", "A certificate for TLS.", lambda d: d.agency.certificate(DEVICE, d.identity, "tls"))
shows("certificate-of-other-device", "A certificate of another device.", lambda d: d.agency.certificate(SECOND, d.identity))
shows("certificate-of-other-organisation", "A certificate whose organisation is another agency's id.", lambda d: d.agency.certificate(DEVICE, d.identity, organisation="other-agency"))
shows("certificate-two-names", "A certificate with two common names.", lambda d: d.agency.certificate(DEVICE, d.identity, more=((x509.NameOID.COMMON_NAME, SECOND),)))
shows("certificate-two-units", "A certificate with two units.", lambda d: d.agency.certificate(DEVICE, d.identity, more=((x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "tls"),)))
shows("certificate-other-algorithm", "A certificate for a key of another curve.", lambda d: d.agency.certificate(DEVICE, ec.derive_private_key(int.from_bytes(Dice("a key of another curve").bytes(31), "big"), ec.SECP256R1()).public_key()))
shows("certificate-self-signed", "A certificate that the device issued itself, in the root's name.", lambda d: d.agency.certificate(DEVICE, d.identity, signed_by=Ed25519PrivateKey.from_private_bytes(bytes(d.identity))))
shows("certificate-is-the-root", "The root's own certificate.", lambda d: d.agency.root)


@scenario("certificate-garbage", "No certificate at all where one should be.")
def certificate_garbage(b: Bundle) -> None:
    d = b.device()
    b.expect("CERTIFICATE", d.boot(certificate=b64url(b"not a certificate")))
    d.genesis()
    d.witness()
    d.write()


def spoilt(name: str, about: str, change: Callable[[bytes], bytes]) -> None:
    """The first boot shows a certificate that this root signed, though what it signed is changed."""

    def build(b: Bundle) -> None:
        d = b.device()
        changed = der.signed(change(d.certificate.tbs_certificate_bytes), d.agency.root_key)
        b.expect("CERTIFICATE", d.boot(certificate=b64url(changed)))
        d.genesis()
        d.witness()
        d.write()

    scenario(name, about)(build)


spoilt(
    "certificate-unknown-algorithm",
    "A certificate for a key of a kind that nobody knows.",
    lambda body: b"\x2b\x65\x7f".join(body.rsplit(b"\x2b\x65\x70", 1)),
)
spoilt(
    "certificate-name-not-text",
    "A certificate whose common name is not UTF-8.",
    lambda body: body.replace(DEVICE.encode(), b"\xff" * len(DEVICE)),
)


@scenario("certificate-empty", "An empty certificate.")
def certificate_empty(b: Bundle) -> None:
    d = b.device()
    b.expect("CERTIFICATE", d.boot(certificate=""))
    d.genesis()
    d.witness()
    d.write()


@scenario("certificate-of-second-boot", "The second boot shows a certificate for TLS.")
def certificate_of_second_boot(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.certificate = d.agency.certificate(DEVICE, d.identity, "tls")
        b.expect("CERTIFICATE", d.boot())

    small(b, change)


@scenario("certificate-of-other-key", "A good certificate of this device, for a key that did not sign the boot.")
def certificate_of_other_key(b: Bundle) -> None:
    d = b.device()
    d.certificate = d.agency.certificate(DEVICE, Dice("another identity").key())
    b.expect("KEY_OUT_OF_SPAN", d.boot())
    d.genesis()
    d.witness()
    d.write()


# Out of time


def valid(d: Recorder, begin_us: int = START_US - DAY_US, end_us: int = START_US + DAY_US) -> None:
    d.certificate = d.agency.certificate(DEVICE, d.identity, begin_us=begin_us, end_us=end_us)


@scenario("certificate-expired", "The certificate had ended when the device started.")
def certificate_expired(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        valid(d, end_us=START_US - HOUR_US)
        d.begin()

    brief(b, lambda d: d.record("first"), begun=begun)
    b.expect("CERTIFICATE_EXPIRED", 0)


@scenario("certificate-not-yet-valid", "The certificate had not begun when the device started.")
def certificate_not_yet_valid(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        valid(d, begin_us=START_US + HOUR_US)
        d.begin()

    brief(b, lambda d: d.record("first"), begun=begun)
    b.expect("CERTIFICATE_EXPIRED", 0)


@scenario("certificate-expired-by-witness", "By its own clock the device started in time; the first witness of it came after the certificate's end.")
def certificate_expired_by_witness(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        valid(d, end_us=START_US + 15_000_000)
        d.begin()

    brief(b, lambda d: d.record("first"), begun=begun)
    b.expect("CERTIFICATE_EXPIRED", 0)


@scenario("certificate-expired-clock-set-back", "The clock was set back a year to start in time; the witness is not deceived, and the times differ.")
def certificate_expired_clock_set_back(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        valid(d, end_us=START_US - HOUR_US, begin_us=START_US - 730 * DAY_US)
        d.offset_us = -365 * DAY_US
        d.begin()

    brief(b, lambda d: d.record("first"), begun=begun)
    b.expect("CERTIFICATE_EXPIRED", 0)


@scenario("certificate-expired-for-later-boot", "The certificate ended between two starts.")
def certificate_expired_for_later_boot(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        valid(d, end_us=START_US + HOUR_US)
        d.begin()

    def change(d: Recorder) -> None:
        d.record("first")
        b.notes = [d.note(own=False)]
        b.expect("CERTIFICATE_EXPIRED", d.boot(wait_us=2 * HOUR_US))
        d.record("second")

    brief(b, change, begun=begun)


# Revoked


def revoked(b: Bundle, when_us: int) -> None:
    b.trust["crl"] = b.agency.crl([(certificate_of(b).serial_number, when_us)])


def certificate_of(b: Bundle) -> x509.Certificate:
    return next(iter(b.devices.values())).certificate


@scenario("certificate-revoked", "The certificate was revoked before the device started.")
def certificate_revoked(b: Bundle) -> None:
    small(b)
    revoked(b, START_US - HOUR_US)
    b.expect("CERTIFICATE_REVOKED", 0)


@scenario("good-revoked-after-witness", "The certificate was revoked after a witness had seen everything: what was seen before stands.")
def good_revoked_after_witness(b: Bundle) -> None:
    d = small(b)
    revoked(b, d.true_us + HOUR_US)


@scenario("good-revoked-another", "Another certificate of the agency is revoked.")
def good_revoked_another(b: Bundle) -> None:
    small(b)
    b.trust["crl"] = b.agency.crl([(4711, START_US - HOUR_US)])


@scenario("certificate-revoked-before-witness", "By its own clock the device started before the revocation; no witness saw it so early.")
def certificate_revoked_before_witness(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    d.files["cosigned"] = d.note(seconds=(d.true_us + HOUR_US) // 1_000_000).encode()
    revoked(b, d.true_us + HOUR_US // 2)
    b.expect("CERTIFICATE_REVOKED", 0)


@scenario("certificate-revoked-unwitnessed", "Revoked after the start, and never witnessed.")
def certificate_revoked_unwitnessed(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    del d.files["cosigned"]
    revoked(b, d.true_us + HOUR_US)
    b.expect("CERTIFICATE_REVOKED", 0)
    b.witnessed = False


@scenario("good-revoked-after-receipt", "Revoked before the note's time, but after a dock's receipt that covers the start.")
def good_revoked_after_receipt(b: Bundle) -> None:
    d = small(b)
    d.files["cosigned"] = d.note(seconds=(d.true_us + HOUR_US) // 1_000_000).encode()
    revoked(b, d.true_us + HOUR_US // 2)


@scenario("good-revoked-after-given-note", "Revoked before the folder's note, but after an older one that a witness kept.")
def good_revoked_after_given_note(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    b.notes = [d.note(3, own=False, by=(WITNESS,))]
    d.files["cosigned"] = d.note(seconds=(d.true_us + HOUR_US) // 1_000_000).encode()
    revoked(b, d.true_us + HOUR_US // 2)


@scenario("certificate-revoked-for-later-boot", "Of two starts with one certificate, a witness saw only the first before the revocation.")
def certificate_revoked_for_later_boot(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        b.notes = [d.note(own=False, by=(DOCK,))]
        revoked(b, d.true_us + HOUR_US)
        b.expect("CERTIFICATE_REVOKED", d.boot(wait_us=2 * HOUR_US))
        d.record("second")

    brief(b, change)


def listed(name: str, about: str, crl: Callable[[Bundle], str]) -> None:
    """The trust file has this list."""

    def build(b: Bundle) -> None:
        small(b)
        b.trust["crl"] = crl(b)
        b.expect("REVOCATION_LIST", "trust")

    scenario(name, about)(build)


def bad_list(b: Bundle, **how: Any) -> str:
    return b.agency.crl([(certificate_of(b).serial_number, START_US - HOUR_US)], **how)


listed("revocation-list-forged", "The list revokes the certificate, but another root's key signed it: nothing is revoked.", lambda b: bad_list(b, signed_by=OTHER.root_key))
listed("revocation-list-of-other-agency", "The list is another agency's.", lambda b: OTHER.crl())
listed("revocation-list-of-other-issuer", "The list is in another issuer's name, signed by this root.", lambda b: bad_list(b, issuer=OTHER.root.subject))
listed("revocation-list-garbage", "The list is none.", lambda b: "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
listed("revocation-list-empty", "There is no list.", lambda b: "")
listed(
    "revocation-list-issuer-malformed",
    "This root signed a list whose issuer is not even text.",
    lambda b: resigned_list(b, lambda body: body.replace(b"sample-agency", b"sample\xff\xffgency", 1)),
)


def resigned_list(b: Bundle, change: Callable[[bytes], bytes]) -> str:
    """The agency's list with what is signed of it changed, and signed again."""
    whole = x509.load_pem_x509_crl(b.agency.crl().encode())
    again = der.signed(change(whole.tbs_certlist_bytes), b.agency.root_key)
    return f"-----BEGIN X509 CRL-----\n{b64(again)}\n-----END X509 CRL-----\n"


@scenario("certificate-revoked-twice", "The list has the certificate twice: once before the start, once long after.")
def certificate_revoked_twice(b: Bundle) -> None:
    d = small(b)
    serial = certificate_of(b).serial_number
    b.trust["crl"] = b.agency.crl([(serial, START_US - HOUR_US), (serial, d.true_us + HOUR_US)])
    b.expect("CERTIFICATE_REVOKED", 0)


# Hardware


@scenario("simulated", "Simulated hardware, and a reader who does not accept it.")
def simulated(b: Bundle) -> None:
    small(b, hardware="simulated")
    b.expect("SIMULATED_HARDWARE", 0)


@scenario("simulated-at-second-start", "The second and the third start name simulated hardware: found once.")
def simulated_at_second_start(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("SIMULATED_HARDWARE", d.boot(hardware={"camera": "simulated"}))
        d.boot(hardware={"camera": "simulated"})

    tiny(b, change)
