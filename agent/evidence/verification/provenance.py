"""Steps 5 and 6: the agency's documents as they come into force, certificates at their witnessed time, hardware."""

from __future__ import annotations

from cryptography import x509

from agent.errors import TrustError
from agent.evidence.documents import Policy, Profile, read_policy, read_profile
from agent.evidence.encoding import from_b64url
from agent.evidence.entries import Adopted, Boot, Entry
from agent.evidence.folder import is_here, read_document
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.keys import read_crl
from agent.evidence.verification.case import Case, at
from agent.evidence.verification.workbook import BootTime

SIMULATED = "simulated"


class Documents:
    """Keeps the case's profile and policy in force."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def see(self, entry: Entry) -> None:
        """One entry; an ``adopted`` one brings a document into force for those after it."""
        if not isinstance(entry.body, Adopted):
            return
        data = read_document(self._case.folder, entry.body.object)
        if data is None and entry.body.object.size > MAX_JWS_BYTES and is_here(self._case.folder, entry.body.object):
            self._case.find("DOCUMENT_INVALID", at(entry), f"over {MAX_JWS_BYTES} bytes")
        if data is None:
            return  # missing or altered: said where objects are judged
        try:
            document = self._read(entry.body, data)
        except TrustError as error:
            self._case.find("DOCUMENT_INVALID", at(entry), str(error))
            return
        self._adopt(entry, document)

    def end(self) -> None:
        """Tells the report which profile was in force last."""
        profile = self._case.profile
        if profile is not None:
            self._case.facts.profile = {
                "officer": profile.officer,
                "section": profile.section,
                "serial": profile.serial,
                "version": profile.version,
            }

    def _read(self, body: Adopted, data: bytes) -> Profile | Policy:
        trust = self._case.trust
        document: Profile | Policy
        document = read_profile(data, trust) if body.document == "profile" else read_policy(data, trust)
        if document.agency != trust.agency or document.version != body.version:
            raise TrustError(f"version {document.version} of {document.agency}")
        if isinstance(document, Profile) and document.device != self._case.device:
            raise TrustError(f"the profile of {document.device}")
        return document

    def _adopt(self, entry: Entry, document: Profile | Policy) -> None:
        case = self._case
        before = case.profile if isinstance(document, Profile) else case.policy
        if before is not None and document.version < before.version:
            case.find("DOCUMENT_ROLLED_BACK", at(entry), f"version {document.version} after {before.version}")
        if isinstance(document, Profile):
            case.profile = document
        else:
            case.policy = document


class Boots:
    """Certificates and parts of every boot."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def see(self, entry: Entry) -> None:
        """One entry."""
        if not isinstance(entry.body, Boot):
            return
        case = self._case
        certificate = x509.load_der_x509_certificate(from_b64url(entry.body.certificate))
        start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        span = (round(start * 1e6), round(end * 1e6))
        case.book.boot(BootTime(entry.seq, entry.time.utc_us, *span, certificate.serial_number, None))
        case.draw("boot", entry, entry.body.software)
        if SIMULATED in entry.body.hardware.values():
            if not case.facts.simulated and not case.question.accept_simulated:
                case.find("SIMULATED_HARDWARE", at(entry))
            case.facts.simulated = True

    def end(self) -> None:
        """Nothing yet: certificates are judged when every witness has spoken."""

    def judge_certificates(self) -> None:
        """Each boot's certificate at the time of the boot, which is a witness's where there is one."""
        listed = revoked(self._case)
        for boot in self._case.book.boots():
            self._judge(boot, listed.get(boot.serial))

    def _judge(self, boot: BootTime, revoked_us: int | None) -> None:
        time_us = boot.utc_us if boot.witnessed_us is None else boot.witnessed_us
        if not all(boot.from_us <= one <= boot.until_us for one in (boot.utc_us, time_us)):
            self._case.find("CERTIFICATE_EXPIRED", f"entry {boot.seq}")
        if revoked_us is not None and (boot.witnessed_us is None or boot.witnessed_us >= revoked_us):
            self._case.find("CERTIFICATE_REVOKED", f"entry {boot.seq}")


def revoked(case: Case) -> dict[int, int]:
    """Serial numbers on the list, with the time of revocation (UTC, microseconds)."""
    try:
        listed = read_crl(case.trust.crl.encode(), case.trust.root())
    except TrustError as error:
        case.find("REVOCATION_LIST", "trust", str(error))
        return {}
    found: dict[int, int] = {}
    for one in listed:
        when_us = round(one.revocation_date_utc.timestamp() * 1e6)
        found[one.serial_number] = min(when_us, found.get(one.serial_number, when_us))
    return found
