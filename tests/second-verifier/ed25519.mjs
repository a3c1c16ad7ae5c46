// Ed25519, strictly: the curve arithmetic here judges keys and R; the signature equation itself is left to node:crypto, which
// checks without cofactor, compares R byte for byte and refuses S at or above the group order.
import { createPublicKey, verify } from 'node:crypto';

const P = 2n ** 255n - 19n;
export const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const mod = (value) => {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
};

function power(base, exponent) {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const SQRT_MINUS_ONE = power(2n, (P - 1n) / 4n);

function littleEndian(bytes) {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

/** Extended coordinates of a canonical encoding, or null. */
export function decodePoint(bytes) {
  if (bytes.length !== 32) return null;
  const sign = bytes[31] >> 7;
  const y = littleEndian(bytes) & ((1n << 255n) - 1n);
  if (y >= P) return null;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (P - 5n) / 8n));
  const check = mod(v * x * x);
  if (check === mod(-u)) x = mod(x * SQRT_MINUS_ONE);
  else if (check !== u) return null;
  if (x === 0n && sign === 1) return null;
  if (Number(x & 1n) !== sign) x = mod(-x);
  return { x, y, z: 1n, t: mod(x * y) };
}

export function encodePoint({ x, y, z }) {
  const inverse = power(z, P - 2n);
  let value = mod(y * inverse) | ((mod(x * inverse) & 1n) << 255n);
  const bytes = Buffer.alloc(32);
  for (let i = 0; i < 32; i += 1, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}

const IDENTITY = { x: 0n, y: 1n, z: 1n, t: 0n };

/** This addition law is complete on this curve, so it doubles too and needs no special cases. */
export function add(p, q) {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = mod((p.y + p.x) * (q.y + q.x));
  const c = mod(2n * D * p.t * q.t);
  const d = mod(2n * p.z * q.z);
  const e = b - a;
  const f = d - c;
  const g = d + c;
  const h = b + a;
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

export function multiply(scalar, point) {
  let result = IDENTITY;
  let doubled = point;
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

const isIdentity = (point) => mod(point.x) === 0n && mod(point.y - point.z) === 0n;

/** A point of order 8: what the group order leaves of some point that is not of prime order. */
function findTorsion() {
  for (let y = 2; ; y += 1) {
    const point = decodePoint(Buffer.from([y, ...new Array(31).fill(0)]));
    const torsion = point && multiply(GROUP_ORDER, point);
    if (torsion && !isIdentity(multiply(4n, torsion))) return torsion;
  }
}

let smallOrder = null;

/** The eight canonical encodings of small order, in hex. A signature's R in any other encoding never equals the one computed. */
export function smallOrderEncodings() {
  if (smallOrder === null) {
    const torsion = findTorsion();
    smallOrder = new Set(Array.from({ length: 8 }, (_, k) => encodePoint(multiply(BigInt(k), torsion)).toString('hex')));
  }
  return smallOrder;
}

function hasPrimeOrder(bytes) {
  const point = decodePoint(bytes);
  return point !== null && !isIdentity(point) && isIdentity(multiply(GROUP_ORDER, point));
}

const keys = new Map();

/** The key as node:crypto wants it, or null if it is not a valid public key. Judged once for each key: that takes milliseconds. */
function keyObject(bytes) {
  const name = bytes.toString('hex');
  if (!keys.has(name)) {
    const x = bytes.toString('base64url');
    keys.set(name, hasPrimeOrder(bytes) ? createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } }) : null);
  }
  return keys.get(name);
}

export const isValidKey = (bytes) => bytes !== null && bytes.length === 32 && keyObject(bytes) !== null;

export function verifySignature(publicKey, message, signature) {
  if (!isValidKey(publicKey) || signature.length !== 64) return false;
  if (littleEndian(signature.subarray(32)) >= GROUP_ORDER) return false;
  if (smallOrderEncodings().has(signature.subarray(0, 32).toString('hex'))) return false;
  return verify(null, message, keyObject(publicKey), signature);
}
