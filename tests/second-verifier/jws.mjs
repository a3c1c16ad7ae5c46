// Compact JWS, as lines and documents are. Nothing is canonicalised again: what is stored is what is signed.
import { fromBase64url, sha256 } from './bytes.mjs';
import { isObject, parseStrict } from './json.mjs';
import { verifySignature } from './ed25519.mjs';
import { Key } from './shapes.mjs';

export const LARGEST_JWS = 65536;

/** RFC 7638 thumbprint of an Ed25519 key. */
export function thumbprint(publicKey) {
  const members = `{"crv":"Ed25519","kty":"OKP","x":"${publicKey.toString('base64url')}"}`;
  return sha256(Buffer.from(members)).toString('base64url');
}

/**
 * Takes a JWS apart. Gives { fault } with the code of a line's finding, or { kid, payload, signed, signature }; the payload is
 * an object, its shape is for the caller to judge. The order of the checks is that of a line.
 */
export function parseJws(bytes, typ) {
  const malformed = { fault: 'LINE_MALFORMED' };
  if (bytes.length > LARGEST_JWS) return malformed;
  const parts = bytes.toString('latin1').split('.');
  if (parts.length !== 3) return malformed;
  const decoded = parts.map(fromBase64url);
  if (decoded.includes(null)) return malformed;
  const [headerBytes, payloadBytes, signature] = decoded;
  const header = parseStrict(headerBytes);
  if (!isObject(header)) return malformed;
  if ('alg' in header && header.alg !== 'EdDSA') return { fault: 'ALGORITHM_REFUSED' };
  if (Object.keys(header).length !== 3 || !('alg' in header) || header.typ !== typ || !Key(header.kid)) return malformed;
  if (signature.length !== 64) return malformed;
  const payload = parseStrict(payloadBytes);
  if (!isObject(payload)) return malformed;
  return { kid: header.kid, payload, signature, signed: Buffer.from(`${parts[0]}.${parts[1]}`, 'latin1') };
}

/** The payload of a document signed by one of the keys, of the shape; or null. */
export function openDocument(bytes, typ, shape, keys) {
  const parsed = parseJws(bytes, typ);
  if (parsed.fault || !shape(parsed.payload)) return null;
  const key = keys.find((candidate) => candidate !== null && thumbprint(candidate) === parsed.kid);
  return key && verifySignature(key, parsed.signed, parsed.signature) ? parsed.payload : null;
}
