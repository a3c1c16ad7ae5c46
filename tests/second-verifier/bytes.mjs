// Bytes, hex, the base64 alphabets, and the order of code points.
import { createHash } from 'node:crypto';

export function sha256(...pieces) {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

export const sha256Hex = (...pieces) => sha256(...pieces).toString('hex');

// Node's decoder forgives nearly everything, so a text counts only if encoding what it decodes to gives the very same text.
function decodeMinimal(text, alphabet, encode) {
  if (typeof text !== 'string' || !alphabet.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return encode(bytes) === text ? bytes : null;
}

/** RFC 4648 section 4, without padding, as inside age headers. */
export const toRawBase64 = (bytes) => bytes.toString('base64').replace(/=+$/, '');
export const fromRawBase64 = (text) => decodeMinimal(text, /^[A-Za-z0-9+/]*$/, toRawBase64);
/** RFC 4648 section 5, without padding. */
export const fromBase64url = (text) => decodeMinimal(text, /^[A-Za-z0-9_-]*$/, (bytes) => bytes.toString('base64url'));
/** RFC 4648 section 4, with padding. */
export const fromBase64 = (text) => decodeMinimal(text, /^[A-Za-z0-9+/]*={0,2}$/, (bytes) => bytes.toString('base64'));

/** JavaScript compares UTF-16 units, which is not the order of code points. */
export function compareCodePoints(a, b) {
  const left = Array.from(a);
  const right = Array.from(b);
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i += 1) {
    const difference = left[i].codePointAt(0) - right[i].codePointAt(0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Text of UTF-8 bytes, or null. A byte order mark stays in the text, so that who forbids it can see it. */
export function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
