// Certificates and revocation lists: taken apart, and signed by the agency's root.
import { isDeepStrictEqual } from 'node:util';
import { fromBase64, utf8 } from './bytes.mjs';
import { DerFault, DerReader, TAG, bits, integer, oid, time } from './der.mjs';
import { isValidKey, verifySignature } from './ed25519.mjs';

const ED25519 = '1.3.101.112';
const ORGANISATION = '2.5.4.10';
const UNIT = '2.5.4.11';
const COMMON_NAME = '2.5.4.3';

function algorithm(reader) {
  const sequence = reader.enter(TAG.sequence);
  const id = oid(sequence.next(TAG.oid).value);
  // Ed25519 takes no parameters (RFC 8410), so anything more is another algorithm.
  return sequence.done ? id : `${id} with parameters`;
}

/** [type, text] of a name whose sets have one attribute each, a UTF8String; null for any other. */
function attributes(nameBytes) {
  const found = [];
  const name = new DerReader(nameBytes).enter(TAG.sequence);
  while (!name.done) {
    const set = name.enter(TAG.set);
    const pair = set.enter(TAG.sequence);
    const type = oid(pair.next(TAG.oid).value);
    const value = pair.next();
    pair.end();
    if (!set.done || value.tag !== TAG.utf8) return null;
    found.push([type, utf8(value.value)]);
  }
  return found;
}

/** The number behind the tag [0] of a certificate: 0 for 1, and so on; 1 where there is none. */
function version(tbs) {
  if (tbs.peek() !== 0xa0) return 1;
  const inner = tbs.enter(0xa0);
  const value = integer(inner.next(TAG.integer));
  inner.end();
  return value.length === 1 ? value[0] + 1 : null;
}

/** What is signed and by what, common to certificates and lists. */
function signedWhole(der) {
  const outer = new DerReader(der);
  const reader = outer.enter(TAG.sequence);
  outer.end();
  const tbs = reader.next(TAG.sequence);
  const signatureAlgorithm = algorithm(reader);
  const signature = bits(reader.next(TAG.bitString));
  reader.end();
  return { tbs, signatureAlgorithm, signature };
}

const hasSignature = (whole, innerAlgorithm, key) => whole.signatureAlgorithm === ED25519 && innerAlgorithm === ED25519
  && verifySignature(key, whole.tbs.whole, whole.signature);

/** They are not judged; that they are some is. */
function takeExtensions(outer) {
  const extensions = outer.enter(TAG.sequence);
  outer.end();
  if (extensions.done) throw new DerFault('no extension');
  while (!extensions.done) {
    const extension = extensions.enter(TAG.sequence);
    oid(extension.next(TAG.oid).value);
    if (extension.peek() === TAG.boolean && extension.next().value[0] !== 0xff) throw new DerFault('not a boolean, or one by default');
    extension.next(TAG.octetString);
    extension.end();
  }
}

function takeCertificate(der) {
  const whole = signedWhole(der);
  const tbs = new DerReader(whole.tbs.value);
  const found = version(tbs);
  const serial = integer(tbs.next(TAG.integer));
  const innerAlgorithm = algorithm(tbs);
  const issuer = tbs.next(TAG.sequence).whole;
  const validity = tbs.enter(TAG.sequence);
  const notBefore = time(validity.next());
  const notAfter = time(validity.next());
  validity.end();
  const subject = tbs.next(TAG.sequence).whole;
  const keyInfo = tbs.enter(TAG.sequence);
  const keyAlgorithm = algorithm(keyInfo);
  const keyBytes = bits(keyInfo.next(TAG.bitString));
  keyInfo.end();
  for (const uniqueId of [0x81, 0x82]) if (tbs.peek() === uniqueId) tbs.next();
  if (tbs.peek() === 0xa3) takeExtensions(tbs.enter(0xa3));
  tbs.end();
  return {
    version: found,
    serial: serial.toString('hex'),
    hasPositiveSerial: serial[0] < 0x80 && serial.some((byte) => byte !== 0),
    issuer,
    subject,
    notBefore,
    notAfter,
    attributes: attributes(subject),
    publicKey: keyAlgorithm === ED25519 && isValidKey(keyBytes) ? keyBytes : null,
    isSignedBy: (key) => hasSignature(whole, innerAlgorithm, key),
  };
}

function takeRevocationList(der) {
  const whole = signedWhole(der);
  const tbs = new DerReader(whole.tbs.value);
  // Version 2 is written as 1, version 1 not at all.
  if (tbs.peek() === TAG.integer && !integer(tbs.next()).equals(Buffer.from([1]))) throw new DerFault('version');
  const innerAlgorithm = algorithm(tbs);
  const issuer = tbs.next(TAG.sequence).whole;
  time(tbs.next());
  if (tbs.peek() === TAG.utcTime || tbs.peek() === TAG.generalizedTime) time(tbs.next());
  const revoked = new Map();
  if (tbs.peek() === TAG.sequence) {
    const entries = tbs.enter(TAG.sequence);
    while (!entries.done) {
      const entry = entries.enter(TAG.sequence);
      const serial = integer(entry.next(TAG.integer)).toString('hex');
      const date = time(entry.next());
      // Should a serial stand there twice, the earlier date is the safer one.
      revoked.set(serial, Math.min(date, revoked.get(serial) ?? Infinity));
    }
  }
  return { issuer, revoked, isSignedBy: (key) => hasSignature(whole, innerAlgorithm, key) };
}

const nullOnFault = (take) => (der) => {
  try {
    return take(der);
  } catch (fault) {
    if (fault instanceof DerFault) return null;
    throw fault;
  }
};

export const parseCertificate = nullOnFault(takeCertificate);
export const parseRevocationList = nullOnFault(takeRevocationList);

/** DER of a text that holds exactly one PEM block of this label, or null. White space is that of ASCII. */
export function fromPem(pem, label) {
  const space = '[ \\t\\n\\v\\f\\r]';
  const match = new RegExp(`^${space}*-----BEGIN ${label}-----${space}([A-Za-z0-9+/= \\t\\n\\v\\f\\r]+)-----END ${label}-----${space}*$`).exec(pem);
  return match ? fromBase64(match[1].replace(/[ \t\n\v\f\r]/g, '')) : null;
}

/** Whether it certifies this device's identity key, under this root. Validity in time is another question. */
export function isIdentityOf(certificate, root, agency, device) {
  const subject = [[ORGANISATION, agency], [UNIT, 'identity'], [COMMON_NAME, device]];
  return certificate.publicKey !== null
    && certificate.version === 3 && certificate.hasPositiveSerial
    && certificate.issuer.equals(root.subject)
    && isDeepStrictEqual(certificate.attributes, subject)
    && certificate.isSignedBy(root.publicKey);
}
