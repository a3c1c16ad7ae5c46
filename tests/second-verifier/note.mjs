// Signed notes that hold a checkpoint, the ledger's signature on them, and witnesses' cosignatures.
import { fromBase64, sha256, utf8 } from './bytes.mjs';
import { verifySignature } from './ed25519.mjs';

const LARGEST_NOTE = 16384;
const MOST_SIGNATURES = 16;
const LEDGER_ALGORITHM = 0x01;
const COSIGNATURE_ALGORITHM = 0x04;
const LATEST_SECOND = 2n ** 63n - 1n;

const isKeyName = (name) => name !== '' && !/[\p{White_Space}+]/u.test(name);

function parseSignatureLine(line) {
  const parts = line.split(' ');
  if (parts.length !== 3 || parts[0] !== '\u2014' || !isKeyName(parts[1])) return null;
  const blob = fromBase64(parts[2]);
  // Four bytes of key id and at least something of a signature.
  if (blob === null || blob.length < 5) return null;
  return { name: parts[1], keyId: blob.subarray(0, 4), signature: blob.subarray(4) };
}

/** { origin, size, root, text, signatures }, or null when the bytes are not a signed note with a checkpoint. */
export function parseNote(bytes) {
  if (bytes.length > LARGEST_NOTE) return null;
  const whole = utf8(bytes);
  // eslint-disable-next-line no-control-regex
  if (whole === null || /[\u0000-\u0009\u000b-\u001f]/.test(whole)) return null;
  const lines = whole.split('\n');
  if (lines.length < 6 || lines.pop() !== '') return null;
  const [origin, size, root, blank, ...signatureLines] = lines;
  if (origin === '' || blank !== '' || !/^(?:0|[1-9][0-9]*)$/.test(size)) return null;
  const rootBytes = fromBase64(root);
  if (rootBytes === null || rootBytes.length !== 32 || signatureLines.length > MOST_SIGNATURES) return null;
  const signatures = signatureLines.map(parseSignatureLine);
  if (signatures.includes(null)) return null;
  if (!Number.isSafeInteger(Number(size))) return null;
  return { origin, size: Number(size), root: rootBytes, text: Buffer.from(`${origin}\n${size}\n${root}\n`), signatures };
}

const keyId = (name, algorithm, key) => sha256(Buffer.from(name), Buffer.from([0x0a, algorithm]), key).subarray(0, 4);

export function isSignedByLedger(note, key) {
  const id = keyId(note.origin, LEDGER_ALGORITHM, key);
  const own = note.signatures.filter((line) => line.name === note.origin && line.keyId.equals(id));
  return own.length > 0 && own.every((line) => verifySignature(key, note.text, line.signature));
}

function cosignatureTime(note, key, signature) {
  if (signature.length !== 72) return null;
  const seconds = signature.readBigUInt64BE(0);
  const message = Buffer.concat([Buffer.from(`cosignature/v1\ntime ${seconds}\n`), note.text]);
  if (seconds > LATEST_SECOND || !verifySignature(key, message, signature.subarray(8))) return null;
  return Number(seconds * 1000000n);
}

/** { false: whether a trusted witness's name stands over a signature that is not its own, time: of the earliest trusted one, or null }. */
export function judgeCosignatures(note, witnesses) {
  let time = null;
  for (const line of note.signatures) {
    for (const witness of witnesses) {
      if (witness.key === null || line.name !== witness.id || !line.keyId.equals(keyId(witness.id, COSIGNATURE_ALGORITHM, witness.key))) continue;
      const own = cosignatureTime(note, witness.key, line.signature);
      if (own === null) return { false: true, time: null };
      if (time === null || own < time) time = own;
    }
  }
  return { false: false, time };
}
