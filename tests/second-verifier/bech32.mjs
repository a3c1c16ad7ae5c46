// Bech32 (BIP 173) without its limit on length, as age identities use it.

const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function polymod(values) {
  let state = 1;
  for (const value of values) {
    const top = state >>> 25;
    state = ((state & 0x1ffffff) << 5) ^ value;
    GENERATORS.forEach((generator, bit) => {
      if ((top >>> bit) & 1) state ^= generator;
    });
  }
  return state >>> 0;
}

const expand = (prefix) => [...Array.from(prefix, (c) => c.charCodeAt(0) >> 5), 0, ...Array.from(prefix, (c) => c.charCodeAt(0) & 31)];

/** Bytes behind the prefix, or null. */
export function decodeBech32(text, prefix) {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) return null;
  const lower = text.toLowerCase();
  const split = lower.lastIndexOf('1');
  if (split < 1 || lower.slice(0, split) !== prefix.toLowerCase()) return null;
  const values = Array.from(lower.slice(split + 1), (c) => ALPHABET.indexOf(c));
  if (values.length < 6 || values.includes(-1) || polymod([...expand(lower.slice(0, split)), ...values]) !== 1) return null;
  const bytes = [];
  let pending = 0;
  let bits = 0;
  for (const value of values.slice(0, -6)) {
    pending = ((pending << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((pending >> bits) & 0xff);
  }
  // What is left over must be less than a character, and zero.
  if (bits >= 5 || (pending & ((1 << bits) - 1)) !== 0) return null;
  return Buffer.from(bytes);
}

export function encodeBech32(prefix, bytes) {
  const values = [];
  let pending = 0;
  let bits = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) values.push((pending >> (bits - 5)) & 31);
  }
  if (bits > 0) values.push((pending << (5 - bits)) & 31);
  const checksum = polymod([...expand(prefix), ...values, 0, 0, 0, 0, 0, 0]) ^ 1;
  for (let i = 0; i < 6; i += 1) values.push((checksum >>> (5 * (5 - i))) & 31);
  return `${prefix}1${values.map((value) => ALPHABET[value]).join('')}`;
}
