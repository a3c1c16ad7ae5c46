// age v1 files, binary: the header for everybody, the content with an X25519 identity.
import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, timingSafeEqual } from 'node:crypto';
import { fromRawBase64 } from './bytes.mjs';
import { decodeBech32 } from './bech32.mjs';

const LARGEST_HEADER = 8192;
const CHUNK = 65536;
const TAG_BYTES = 16;
const VERSION_LINE = 'age-encryption.org/v1';
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** { stanzas: [{ args, body }], mac, signed, end }, or null when the bytes do not begin with an age header that ends early enough. */
export function parseHeader(bytes) {
  const head = bytes.subarray(0, LARGEST_HEADER).toString('latin1');
  let at = 0;
  const line = () => {
    const end = head.indexOf('\n', at);
    if (end < 0) return null;
    const found = head.slice(at, end);
    at = end + 1;
    return found;
  };
  if (line() !== VERSION_LINE) return null;
  const stanzas = [];
  for (;;) {
    const start = at;
    const first = line();
    if (first === null) return null;
    if (first.startsWith('---')) {
      const mac = /^--- [A-Za-z0-9+/]{43}$/.test(first) ? fromRawBase64(first.slice(4)) : null;
      if (mac === null || stanzas.length === 0) return null;
      return { stanzas, mac, signed: bytes.subarray(0, start + 3), end: at };
    }
    if (!/^->(?: [\x21-\x7e]+)+$/.test(first)) return null;
    let body = '';
    for (;;) {
      const part = line();
      if (part === null || part.length > 64) return null;
      body += part;
      if (part.length < 64) break;
    }
    const decoded = fromRawBase64(body);
    if (decoded === null) return null;
    stanzas.push({ args: first.slice(3).split(' '), body: decoded });
  }
}

/** An X25519 stanza in every respect: what only calls itself one is another stanza. */
export function isX25519(stanza) {
  return stanza.args[0] === 'X25519' && stanza.args.length === 2 && fromRawBase64(stanza.args[1])?.length === 32 && stanza.body.length === 32;
}

const derive = (secret, salt, info) => Buffer.from(hkdfSync('sha256', secret, salt, Buffer.from(info), 32));

function openBox(key, nonce, box) {
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(box.subarray(0, box.length - TAG_BYTES)), decipher.final()]);
  } catch {
    return null;
  }
}

/** { secret, recipient } of AGE-SECRET-KEY-1…, or null. */
export function parseIdentity(text) {
  const scalar = decodeBech32(text.trim(), 'AGE-SECRET-KEY-');
  if (scalar === null || scalar.length !== 32) return null;
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, scalar]), format: 'der', type: 'pkcs8' });
  return { secret, recipient: Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x, 'base64url') };
}

function unwrap(stanza, identity) {
  const share = fromRawBase64(stanza.args[1]);
  let shared;
  try {
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', x: share.toString('base64url') } });
    shared = diffieHellman({ privateKey: identity.secret, publicKey });
  } catch {
    return null; // a share of low order
  }
  if (shared.every((byte) => byte === 0)) return null;
  const key = derive(shared, Buffer.concat([share, identity.recipient]), 'age-encryption.org/v1/X25519');
  return openBox(key, Buffer.alloc(12), stanza.body);
}

function openPayload(payload, fileKey) {
  if (payload.length < 16 + TAG_BYTES) return null;
  const key = derive(fileKey, payload.subarray(0, 16), 'payload');
  const pieces = [];
  for (let at = 16, counter = 0; ; counter += 1) {
    const box = payload.subarray(at, at + CHUNK + TAG_BYTES);
    at += box.length;
    const isLast = at === payload.length;
    // An empty last chunk is for an empty payload only.
    if (box.length < TAG_BYTES || (box.length === TAG_BYTES && counter > 0)) return null;
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(counter, 7);
    nonce[11] = isLast ? 1 : 0;
    const piece = openBox(key, nonce, box);
    if (piece === null) return null;
    pieces.push(piece);
    if (isLast) return Buffer.concat(pieces);
  }
}

/** The content, or null when this identity does not open the file. */
export function open(bytes, identity) {
  const header = parseHeader(bytes);
  if (header === null) return null;
  // A stanza that calls itself X25519 and is not well formed spoils the header, and so does a passphrase stanza beside others.
  if (header.stanzas.some((stanza) => stanza.args[0] === 'X25519' && !isX25519(stanza))) return null;
  if (header.stanzas.some((stanza) => stanza.args[0] === 'scrypt')) return null;
  for (const stanza of header.stanzas.filter(isX25519)) {
    const fileKey = unwrap(stanza, identity);
    if (fileKey === null) continue;
    const mac = createHmac('sha256', derive(fileKey, Buffer.alloc(0), 'header')).update(header.signed).digest();
    return timingSafeEqual(mac, header.mac) ? openPayload(bytes.subarray(header.end), fileKey) : null;
  }
  return null;
}
