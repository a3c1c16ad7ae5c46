// What a shape is: a predicate over parsed JSON. A shape is closed: a field missing, unknown or out of bounds makes the whole malformed.
import { isObject } from './json.mjs';

const LARGEST = Number.MAX_SAFE_INTEGER;

export const pattern = (expression) => (value) => typeof value === 'string' && expression.test(value);
// Lengths count code points; a text of few units has no more code points than that.
export const text = (longest = Infinity) => (value) => typeof value === 'string' && (value.length <= longest || Array.from(value).length <= longest);
export const integer = (least, most) => (value) => typeof value === 'number' && value >= least && value <= most;
export const oneOf = (...values) => (value) => values.includes(value);
export const nullable = (inner) => (value) => value === null || inner(value);
export const list = (inner) => (value) => Array.isArray(value) && value.every((item) => inner(item));
export const dictionary = (key, inner) => (value) => isObject(value) && Object.keys(value).every((name) => key(name) && inner(value[name]));

export function shape(fields) {
  const names = Object.keys(fields);
  return (value) => isObject(value)
    && Object.keys(value).length === names.length
    && names.every((name) => Object.hasOwn(value, name) && fields[name](value[name]));
}

// Small types. In JavaScript `$` without the flag m matches at the very end only, so a trailing newline does not slip through.
export const Digest = pattern(/^[0-9a-f]{64}$/);
export const Name = pattern(/^[a-z0-9-]{1,64}$/);
export const Word = pattern(/^[a-z0-9_-]{1,64}$/);
export const RecordingId = pattern(/^[0-9a-f]{16}$/);
export const Text = text(500);
export const Key = pattern(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/);
export const Base64url = (value) => text(8192)(value) && /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$/.test(value);
export const Recipient = pattern(/^age1[a-z0-9]{58}$/);
export const Count = integer(0, LARGEST);
export const Micros = Count;
export const Signed = integer(-LARGEST, LARGEST);
export const Flag = (value) => value === true || value === false;
export const FormatVersion = integer(1, 1);
export const ActionKind = oneOf('licensing', 'inspection', 'penalty', 'coercion');
export const Stage = oneOf('start', 'investigation', 'decision', 'execution');
export const RestrictedContent = oneOf('state_secret', 'commercial_secret', 'privacy', 'other');
export const StopReason = oneOf(
  'button', 'command', 'docked', 'hazard', 'restricted', 'storage_full', 'camera', 'microphone', 'battery', 'overheated', 'shutdown', 'power_cut', 'fault', 'photo',
);

export const ObjectRef = shape({ digest: Digest, size: Count, form: oneOf('age', 'jws') });
export const SealedRef = shape({ digest: Digest, size: Count, form: oneOf('age') });
export const DocumentRef = shape({ digest: Digest, size: Count, form: oneOf('jws') });
