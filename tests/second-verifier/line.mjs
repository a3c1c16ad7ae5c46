// Checks of one line that a ledger and an extract share.
import { fromBase64url } from './bytes.mjs';
import { isValidKey, verifySignature } from './ed25519.mjs';
import { Payload, bodyShape } from './entry-shapes.mjs';
import { parseJws, thumbprint } from './jws.mjs';
import { isIdentityOf, parseCertificate } from './x509.mjs';

/** Form of a line: { fault } or { line }. */
export function parseLine(bytes) {
  const parsed = parseJws(bytes, 'er-ledger+jws');
  if (parsed.fault) return { fault: parsed.fault };
  const { payload } = parsed;
  if (!Payload(payload)) return { fault: 'LINE_MALFORMED' };
  const isBody = bodyShape(payload.type);
  if (!isBody) return { fault: 'TYPE_UNKNOWN' };
  if (!isBody(payload.body)) return { fault: 'LINE_MALFORMED' };
  const { kid, signed, signature } = parsed;
  return { line: { ...payload, index: payload.seq, kid, signed, signature } };
}

export const isGenesisOf = (line, agency) => line.body.agency === agency && line.body.device === line.device;

/** Step 1.4; remembers the certificate on the line. */
export function hasGoodCertificate(line, trust) {
  const der = fromBase64url(line.body.certificate);
  line.certificate = der && parseCertificate(der);
  return Boolean(line.certificate) && isIdentityOf(line.certificate, trust.root, trust.agency, line.device);
}

/** The key that a `boot` or `epoch` names as the next: bytes, null when it is no valid key, undefined when the line names none. */
export function nextKey(line) {
  if (line.type !== 'boot' && line.type !== 'epoch') return undefined;
  const key = fromBase64url(line.type === 'boot' ? line.body.epoch_key : line.body.key);
  return isValidKey(key) ? key : null;
}

/** Step 1.5 for the key that may sign here: a code, or null. */
export function judgeSignature(line, key) {
  if (key === null || line.kid !== thumbprint(key)) return 'KEY_OUT_OF_SPAN';
  return verifySignature(key, line.signed, line.signature) ? null : 'SIGNATURE_INVALID';
}

/** Splits at newlines: { lines, rest }, the rest being what no newline ends. */
export function splitLines(bytes) {
  const lines = [];
  let at = 0;
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, at)) {
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return { lines, rest: bytes.subarray(at) };
}
