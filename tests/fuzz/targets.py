"""The table of what is fuzzed: every parser of evidence, wire and configuration.

A target takes any bytes. Besides returning it may only raise what it is allowed to: anything else is a crash, as are
taking too long and taking too much memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.errors import FormatError, RecorderError, StorageError, TrustError, WireError
from tests.fuzz import folders, formats, seeds, stations


@dataclass(frozen=True, slots=True)
class Target:
    """One parser."""

    name: str
    run: Callable[[bytes], None]
    allowed: tuple[type[RecorderError], ...]
    seeds: Callable[[], list[bytes]]
    json: bool = False
    """Inputs are JSON, and are changed as such."""
    max_bytes: int = 16_384

    def __call__(self, data: bytes) -> None:
        """Runs it; raises only what it is not allowed to raise."""
        try:
            self.run(data)
        except self.allowed:
            return


_PEM: Final = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI" + "A" * 43 + "\n-----END PRIVATE KEY-----\n"
_AGE_KEY: Final = "# created: now\nAGE-SECRET-KEY-1RU685NFAH0EJ59V37AL6WC3TGNY206VEN4HLDWT3HHYCC5CDCFVSWKEXS2\n"
_TOPICS: Final = (
    *("er/v1/er-1/up/state", "er/v1/er-1/up/ledger/12", "er/v1/er-1/up/checkpoint", "er/v1/dock/dock-1/state"),
    *(f"er/v1/er-1/up/object/{'a' * 64}/{step}" for step in ("open", "7", "close")),
    *(f"er/v1/er-1/down/{word}" for word in ("receipt", "have", "credit", "command", "checkpoint", "assignment")),
)
_FORMAT, _TRUST = (FormatError,), (TrustError,)

TARGETS: Final = (
    Target("json", formats.strict_json, _FORMAT, seeds.payloads, json=True),
    Target("base64url", formats.base64url, _FORMAT, seeds.fixed("", "AA", "AAE", "AAEC", "-_-_", "A")),
    Target("jws-line", formats.jws_line, _FORMAT, seeds.lines),
    Target("jws-document", formats.jws_document, (), seeds.of("*objects/*.jws")),
    Target("signed-document", formats.signed_document, (), seeds.documents, json=True),
    Target("entry", formats.entry, _FORMAT, seeds.payloads, json=True),
    Target("note", formats.note, _FORMAT, seeds.of("*checkpoint", "*cosigned")),
    Target("cosignature", formats.cosignature, _FORMAT, seeds.fixed(bytes(72), bytes(64))),
    Target("age-header", formats.age_header, _FORMAT, seeds.of("*.age")),
    Target("sealed", formats.sealed, _FORMAT, seeds.of("*.age")),
    Target("recipient", formats.recipient, _FORMAT, lambda: [one.encode() for one in formats.trust().recipients]),
    Target("film", formats.film, _FORMAT, seeds.films, max_bytes=65_536),
    Target("content", formats.content, (), seeds.opened, json=True, max_bytes=65_536),
    Target("certificate", formats.certificate, (), formats.tbs_certificates),
    Target("revocation-list", formats.revocation_list, (), formats.tbs_lists),
    Target("trust-file", formats.trust_file, _TRUST, seeds.of("trust.json"), json=True),
    Target("root-certificate", formats.root_certificate, _TRUST, lambda: [formats.agency().root.tbs_certificate_bytes]),
    Target("private-key", formats.private_key, _TRUST, seeds.fixed(_PEM)),
    Target("extract-manifest", formats.extract_manifest, _FORMAT, seeds.of("*extract.json"), json=True),
    Target("proof-row", formats.proof_row, _FORMAT, lambda: [b"0\n", *seeds.of("*proofs")()]),
    Target("topic", formats.topic, (WireError,), seeds.fixed(*_TOPICS)),
    Target("wire-payload", formats.payload, (), formats.wire_payloads, json=True),
    Target("folder", folders.folder, (), folders.folder_seeds, max_bytes=65_536),
    Target("judged", folders.judged, (), folders.judged_seeds, json=True, max_bytes=65_536),
    Target("extract", folders.extract, (), folders.extract_seeds, max_bytes=65_536),
    Target("index", folders.index, _FORMAT, folders.index_seeds),
    Target("extracted-note", folders.extracted_note, _FORMAT, folders.note_seeds),
    Target("ledger-lines", folders.ledger_lines, _FORMAT, lambda: [one for one in seeds.of("*ledger.jws")() if one]),
    Target("witness-checkpoint", stations.witness_checkpoint, (), stations.checkpoint_requests),
    Target("witness-keys", stations.witness_keys, (), stations.key_requests),
    Target("witness-memory", stations.witness_memory, (StorageError,), stations.memories, json=True),
    Target("witness-alarm", stations.alarm, (StorageError,), stations.alarms, json=True),
    Target("configuration", stations.configuration, (), stations.configurations),
    Target("register", stations.register, (StorageError,), stations.registers, json=True),
    Target("catalogue", stations.catalogue, (), stations.catalogues, json=True),
    Target("accepted-devices", stations.accepted, _TRUST, stations.accepted_lists, json=True),
    Target("staging-list", stations.staging, _FORMAT, stations.staging_lists),
    Target("code", stations.code, (FormatError, TrustError), stations.codes),
    Target("assignment", stations.assignment, _FORMAT, stations.assignments, json=True),
    Target(
        "control", stations.control, (), seeds.fixed('{"do":"press"}\n', '{"do":"mark","kind":"moment"}'), json=True
    ),
    Target("identity-file", stations.identity_file, _TRUST, seeds.fixed(_AGE_KEY)),
)
BY_NAME: Final = {target.name: target for target in TARGETS}
