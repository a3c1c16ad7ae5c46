// The trust file: what a verifier needs and gets by a way of its own.
import { readFileSync } from 'node:fs';
import { fromBase64url } from './bytes.mjs';
import { parseStrict } from './json.mjs';
import { TrustBundle } from './document-shapes.mjs';
import { fromPem, parseCertificate, parseRevocationList } from './x509.mjs';

/** An error of what the verifier was asked, as opposed to a finding about the evidence. */
export class AskedWrong extends Error {}

export function readTrust(path) {
  let bytes;
  try {
    bytes = readFileSync(path);
  } catch {
    throw new AskedWrong('the trust file cannot be read');
  }
  const bundle = parseStrict(bytes);
  if (!TrustBundle(bundle)) throw new AskedWrong('the trust file is malformed');
  const rootDer = fromPem(bundle.root_certificate, 'CERTIFICATE');
  const root = rootDer && parseCertificate(rootDer);
  if (!root || root.publicKey === null) throw new AskedWrong('the root certificate of the trust file cannot be used');
  const listDer = fromPem(bundle.crl, 'X509 CRL');
  const list = listDer && parseRevocationList(listDer);
  const isListUsable = Boolean(list) && list.issuer.equals(root.subject) && list.isSignedBy(root.publicKey);
  // A key here that is no key stays, as null or invalid: nothing verifies under it.
  return {
    agency: bundle.agency,
    root,
    isListUsable,
    revoked: isListUsable ? list.revoked : new Map(),
    documentKeys: bundle.document_keys.map(fromBase64url),
    docks: bundle.docks.map((dock) => ({ id: dock.id, receiptKey: fromBase64url(dock.receipt_key) })),
    witnesses: [
      ...bundle.docks.map((dock) => ({ id: dock.id, key: fromBase64url(dock.witness_key) })),
      ...bundle.witnesses.map((witness) => ({ id: witness.id, key: fromBase64url(witness.key) })),
    ],
  };
}
