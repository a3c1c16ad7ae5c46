// Makes what the verifier takes apart: keys, certificates, lists, notes, age files, segments. For the self-test only.
import { createCipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, sign } from 'node:crypto';
import { encodeBech32 } from './bech32.mjs';
import { sha256 } from './bytes.mjs';

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

const privateKey = (prefix, secret) => createPrivateKey({ key: Buffer.concat([prefix, secret]), format: 'der', type: 'pkcs8' });
const publicBytes = (secret) => Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x, 'base64url');

/** An Ed25519 key made from a name, so that every run is the same. */
export function signer(name) {
  const secret = privateKey(PKCS8_ED25519, sha256(Buffer.from(name)));
  const bytes = publicBytes(secret);
  const x = bytes.toString('base64url');
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
  return { bytes, x, kid, sign: (message) => sign(null, message, secret) };
}

export function jws(typ, payload, key, header = {}) {
  const text = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const signed = `${text({ alg: 'EdDSA', kid: key.kid, typ, ...header })}.${text(payload)}`;
  return Buffer.from(`${signed}.${key.sign(Buffer.from(signed)).toString('base64url')}`);
}

function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  if (body.length < 128) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from([body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from(body.length < 256 ? [tag, 0x81] : [tag, 0x82]), body.length < 256 ? length.subarray(1) : length, body]);
}

const ED25519 = der(0x30, Buffer.from('06032b6570', 'hex'));
const attribute = (id, value) => der(0x31, der(0x30, der(0x06, Buffer.from([0x55, 4, id])), der(0x0c, Buffer.from(value))));
const name = ({ o, ou, cn }) => der(0x30, attribute(10, o), ...(ou ? [attribute(11, ou)] : []), attribute(3, cn));
const utcTime = (text) => der(0x17, Buffer.from(text));
const integer = (value) => der(0x02, Buffer.from([value]));
const signedDer = (tbs, key) => der(0x30, tbs, ED25519, der(0x03, Buffer.from([0]), key.sign(tbs)));

export const ROOT_NAME = { o: 'sample-agency', cn: 'root' };

export function certificate({ subject, key, issuerKey, serial, from = '250101000000Z', to = '350101000000Z' }) {
  const tbs = der(
    0x30, der(0xa0, integer(2)), integer(serial), ED25519, name(ROOT_NAME), der(0x30, utcTime(from), utcTime(to)), name(subject),
    der(0x30, ED25519, der(0x03, Buffer.from([0]), key.bytes)),
  );
  return signedDer(tbs, issuerKey);
}

/** revoked: [[serial, UTCTime]]. */
export function revocationList(revoked, issuerKey) {
  const entries = revoked.map(([serial, date]) => der(0x30, integer(serial), utcTime(date)));
  const tbs = der(0x30, integer(1), ED25519, name(ROOT_NAME), utcTime('250101000000Z'), ...(entries.length > 0 ? [der(0x30, ...entries)] : []));
  return signedDer(tbs, issuerKey);
}

export const pem = (label, bytes) => `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END ${label}-----\n`;

const signatureLine = (who, algorithm, key, signature) => {
  const id = sha256(Buffer.from(who), Buffer.from([10, algorithm]), key.bytes).subarray(0, 4);
  return `\u2014 ${who} ${Buffer.concat([id, signature]).toString('base64')}\n`;
};

/** witnesses: [{ name, key, seconds }]. */
export function note(origin, size, root, ledgerKey, witnesses) {
  const text = `${origin}\n${size}\n${root.toString('base64')}\n`;
  const cosignatures = witnesses.map(({ name: who, key, seconds }) => {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(seconds));
    const signature = key.sign(Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`));
    return signatureLine(who, 4, key, Buffer.concat([time, signature]));
  });
  const own = ledgerKey ? [signatureLine(origin, 1, ledgerKey, ledgerKey.sign(Buffer.from(text)))] : [];
  return Buffer.from(`${text}\n${[...own, ...cosignatures].join('')}`);
}

export function ageIdentity(seed) {
  const scalar = sha256(Buffer.from(seed));
  const secret = privateKey(PKCS8_X25519, scalar);
  const recipient = publicBytes(secret);
  return { text: encodeBech32('age-secret-key-', scalar).toUpperCase(), recipient, name: encodeBech32('age', recipient) };
}

const derive = (secret, salt, info) => Buffer.from(hkdfSync('sha256', secret, salt, Buffer.from(info), 32));
const raw64 = (bytes) => bytes.toString('base64').replace(/=+$/, '');

function box(key, nonce, plain) {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

export function seal(content, recipients, seed) {
  const fileKey = sha256(Buffer.from(`file key ${seed}`)).subarray(0, 16);
  let header = 'age-encryption.org/v1\n';
  recipients.forEach((recipient, i) => {
    const ephemeral = privateKey(PKCS8_X25519, sha256(Buffer.from(`ephemeral ${seed} ${i}`)));
    const share = publicBytes(ephemeral);
    const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'X25519', x: recipient.toString('base64url') } });
    const shared = diffieHellman({ privateKey: ephemeral, publicKey });
    const key = derive(shared, Buffer.concat([share, recipient]), 'age-encryption.org/v1/X25519');
    header += `-> X25519 ${raw64(share)}\n${raw64(box(key, Buffer.alloc(12), fileKey))}\n`;
  });
  header += '---';
  const mac = createHmac('sha256', derive(fileKey, Buffer.alloc(0), 'header')).update(header).digest();
  const nonce = sha256(Buffer.from(`nonce ${seed}`)).subarray(0, 16);
  const key = derive(fileKey, nonce, 'payload');
  const chunks = [];
  for (let at = 0, counter = 0; at < content.length || counter === 0; at += 65536, counter += 1) {
    const chunkNonce = Buffer.alloc(12);
    chunkNonce.writeUInt32BE(counter, 7);
    chunkNonce[11] = at + 65536 >= content.length ? 1 : 0;
    chunks.push(box(key, chunkNonce, content.subarray(at, at + 65536)));
  }
  return Buffer.concat([Buffer.from(`${header} ${raw64(mac)}\n`), nonce, ...chunks]);
}

function mp4Box(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

const words = (...values) => Buffer.concat(values.map((value) => {
  const word = Buffer.alloc(4);
  word.writeUInt32BE(value);
  return word;
}));

/** A segment of one video track: fragments of [decode time, samples] in a timescale of 90000. */
export function segment(fragments) {
  const trak = mp4Box(
    'trak', mp4Box('tkhd', words(0, 0, 0, 1, 0, 0)),
    mp4Box('mdia', mp4Box('mdhd', words(0, 0, 0, 90000, 0, 0)), mp4Box('hdlr', words(0, 0), Buffer.from('vide'), words(0, 0, 0))),
  );
  const pieces = fragments.flatMap(([time, samples]) => [
    mp4Box('moof', mp4Box('traf', mp4Box('tfhd', words(0, 1)), mp4Box('tfdt', words(0, time)), mp4Box('trun', words(0, samples)))),
    mp4Box('mdat', Buffer.alloc(40)),
  ]);
  return Buffer.concat([mp4Box('ftyp', Buffer.from('isom')), mp4Box('moov', trak), ...pieces]);
}
