// Certificates and revocation lists: taken apart, and signed by the agency's root.
import { DerFault, DerReader, TAG, bits, oid, string, time } from './der.mjs';
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

function attributes(nameBytes) {
  const found = [];
  const name = new DerReader(nameBytes).enter(TAG.sequence);
  while (!name.done) {
    const set = name.enter(TAG.set);
    while (!set.done) {
      const pair = set.enter(TAG.sequence);
      found.push({ type: oid(pair.next(TAG.oid).value), value: string(pair.next()) });
      pair.end();
    }
  }
  return found;
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

function takeCertificate(der) {
  const whole = signedWhole(der);
  const tbs = new DerReader(whole.tbs.value);
  if (tbs.peek() === 0xa0) tbs.next();
  const serial = tbs.next(TAG.integer).value.toString('hex');
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
  return {
    serial,
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
  if (tbs.peek() === TAG.integer) tbs.next();
  const innerAlgorithm = algorithm(tbs);
  const issuer = tbs.next(TAG.sequence).whole;
  time(tbs.next());
  if (tbs.peek() === TAG.utcTime || tbs.peek() === TAG.generalizedTime) time(tbs.next());
  const revoked = new Map();
  if (tbs.peek() === TAG.sequence) {
    const entries = tbs.enter(TAG.sequence);
    while (!entries.done) {
      const entry = entries.enter(TAG.sequence);
      const serial = entry.next(TAG.integer).value.toString('hex');
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

/** DER of a text that holds exactly one PEM block of this label, or null. */
export function fromPem(pem, label) {
  const match = new RegExp(`^\\s*-----BEGIN ${label}-----\\s([A-Za-z0-9+/=\\s]+)-----END ${label}-----\\s*$`).exec(pem);
  return match ? Buffer.from(match[1].replace(/\s/g, ''), 'base64') : null;
}

/** Whether it certifies this device's identity key, under this root. Validity in time is another question. */
export function isIdentityOf(certificate, root, agency, device) {
  const named = (type) => certificate.attributes.filter((attribute) => attribute.type === type).map((attribute) => attribute.value);
  const only = (type, value) => named(type).length === 1 && named(type)[0] === value;
  return certificate.publicKey !== null
    && certificate.issuer.equals(root.subject)
    && only(ORGANISATION, agency) && only(UNIT, 'identity') && only(COMMON_NAME, device)
    && certificate.isSignedBy(root.publicKey);
}
