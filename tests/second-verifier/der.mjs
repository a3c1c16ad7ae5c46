// As much of DER as certificates and revocation lists need.

export const TAG = {
  boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31,
};

export class DerFault extends Error {}

/** Reads the elements of some bytes, one after another. */
export class DerReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get done() {
    return this.at >= this.bytes.length;
  }

  /** Tag of the next element; -1 when there is none. */
  peek() {
    return this.done ? -1 : this.bytes[this.at];
  }

  /** Next element: { tag, value, whole }. */
  next(tag) {
    const start = this.at;
    const found = this.byte();
    if ((found & 0x1f) === 0x1f) throw new DerFault('long tag');
    if (tag !== undefined && found !== tag) throw new DerFault('another tag');
    const length = this.length();
    const end = this.at + length;
    if (end > this.bytes.length) throw new DerFault('cut');
    const value = this.bytes.subarray(this.at, end);
    this.at = end;
    return { tag: found, value, whole: this.bytes.subarray(start, end) };
  }

  enter(tag) {
    return new DerReader(this.next(tag).value);
  }

  end() {
    if (!this.done) throw new DerFault('more than expected');
  }

  byte() {
    if (this.done) throw new DerFault('cut');
    this.at += 1;
    return this.bytes[this.at - 1];
  }

  length() {
    const first = this.byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new DerFault('length');
    let length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + this.byte();
    if (length < 0x80 || length < 256 ** (count - 1)) throw new DerFault('length not minimal');
    return length;
  }
}

export function oid(value) {
  const numbers = [];
  let number = 0;
  for (const byte of value) {
    number = number * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    numbers.push(number);
    number = 0;
  }
  if (numbers.length === 0) throw new DerFault('empty identifier');
  const first = Math.min(2, Math.floor(numbers[0] / 40));
  return [first, numbers[0] - 40 * first, ...numbers.slice(1)].join('.');
}

/** Microseconds of a Time. Both kinds end in Z and have seconds, as RFC 5280 asks. */
export function time({ tag, value }) {
  const isLong = tag === TAG.generalizedTime;
  if (!isLong && tag !== TAG.utcTime) throw new DerFault('not a time');
  const match = (isLong ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(value.toString('latin1'));
  if (!match) throw new DerFault('not a time');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(isLong ? year : year + (year < 50 ? 2000 : 1900), month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A date that does not exist rolls over to another, and is then written otherwise.
  const digits = match.slice(1).join('');
  if (isLong && year === 0) throw new DerFault('no such time');
  if (!date.toISOString().replace(/[-T:.]/g, '').startsWith(digits, isLong ? 0 : 2)) throw new DerFault('no such time');
  return date.getTime() * 1000;
}

/** Bytes of an integer, of which there is one spelling. */
export function integer({ value }) {
  const isPadded = value.length > 1 && ((value[0] === 0 && value[1] < 0x80) || (value[0] === 0xff && value[1] >= 0x80));
  if (value.length === 0 || isPadded) throw new DerFault('integer not minimal');
  return value;
}

/** Bytes of a bit string without unused bits. */
export function bits({ value }) {
  if (value.length < 1 || value[0] !== 0) throw new DerFault('unused bits');
  return value.subarray(1);
}
