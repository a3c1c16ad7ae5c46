// Strict JSON. The built-in parser keeps the last of two equal keys, takes fractions and rounds large integers, so it cannot be used.
import { utf8 } from './bytes.mjs';

const DEEPEST = 16;
const LONGEST_INTEGER = 17;
const SIMPLE_ESCAPES = new Map([['"', '"'], ['\\', '\\'], ['/', '/'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t']]);

class Fault extends Error {}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  whole() {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new Fault('more after the value');
    return value;
  }

  space() {
    while (this.at < this.text.length && ' \t\n\r'.includes(this.text[this.at])) this.at += 1;
  }

  take(token) {
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  value(depth) {
    this.space();
    if (this.take('{')) return this.object(depth + 1);
    if (this.take('[')) return this.array(depth + 1);
    if (this.take('"')) return this.string();
    if (this.take('true')) return true;
    if (this.take('false')) return false;
    if (this.take('null')) return null;
    return this.integer();
  }

  object(depth) {
    if (depth > DEEPEST) throw new Fault('too deep');
    // No prototype: a key such as `__proto__` is then a key like any other.
    const result = Object.create(null);
    this.space();
    if (this.take('}')) return result;
    for (;;) {
      this.space();
      if (!this.take('"')) throw new Fault('a key is a string');
      const key = this.string();
      if (key in result) throw new Fault('key twice');
      this.space();
      if (!this.take(':')) throw new Fault('no colon');
      result[key] = this.value(depth);
      this.space();
      if (this.take('}')) return result;
      if (!this.take(',')) throw new Fault('no comma');
    }
  }

  array(depth) {
    if (depth > DEEPEST) throw new Fault('too deep');
    const result = [];
    this.space();
    if (this.take(']')) return result;
    for (;;) {
      result.push(this.value(depth));
      this.space();
      if (this.take(']')) return result;
      if (!this.take(',')) throw new Fault('no comma');
    }
  }

  string() {
    let result = '';
    for (;;) {
      if (this.at >= this.text.length) throw new Fault('string without end');
      const char = this.text[this.at];
      this.at += 1;
      if (char === '"') break;
      if (char < ' ') throw new Fault('control character');
      result += char === '\\' ? this.escape() : char;
    }
    // Checked on the whole, because a pair may be written as two escapes.
    if (/\p{Surrogate}/u.test(result)) throw new Fault('lone surrogate');
    return result;
  }

  escape() {
    const letter = this.text[this.at];
    this.at += 1;
    if (letter === 'u') {
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new Fault('bad escape');
      this.at += 4;
      return String.fromCharCode(parseInt(digits, 16));
    }
    if (!SIMPLE_ESCAPES.has(letter)) throw new Fault('bad escape');
    return SIMPLE_ESCAPES.get(letter);
  }

  integer() {
    const pattern = /-?(?:0|[1-9][0-9]*)/y;
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) throw new Fault('no value');
    const written = found[0];
    // What follows a number (a point, an exponent, more digits) fails where the next token is expected.
    if (written === '-0' || written.length > LONGEST_INTEGER) throw new Fault('integer out of bounds');
    this.at += written.length;
    const value = Number(written);
    if (!Number.isSafeInteger(value)) throw new Fault('integer out of bounds');
    return value;
  }
}

/** The value of strict JSON bytes; undefined (which no JSON is) when it is not strict JSON. */
export function parseStrict(bytes) {
  const text = utf8(bytes);
  if (text === null || text.startsWith('\ufeff')) return undefined;
  try {
    return new Reader(text).whole();
  } catch (fault) {
    if (fault instanceof Fault) return undefined;
    throw fault;
  }
}

export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
