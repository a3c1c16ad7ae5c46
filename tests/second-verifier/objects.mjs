// Step 4: the objects.
import { isX25519, parseHeader } from './age.mjs';
import { judgeContent } from './content.mjs';
import { nameOf } from './files.mjs';

const OF_RECORDING = new Set(['segment', 'photo', 'telemetry']);
const REFERRING = new Set([...OF_RECORDING, 'adopted', 'receipt']);

function refOf(line) {
  if (line.type === 'open') return line.body.particulars;
  if (line.type === 'restricted') return line.body.note;
  return REFERRING.has(line.type) ? line.body.object : null;
}

/** A receipt of an extract is no part of what is handed over. */
const isAskedFor = (evidence, line) => !(evidence.isExtract && line.type === 'receipt');

function isMissing(evidence, ref) {
  return !evidence.objects.status(nameOf(ref)).there && !(evidence.kind === 'device' && evidence.released.has(ref.digest));
}

/** Recordings of which every segment, photo and piece of telemetry is missing. */
function removedRecordings(evidence) {
  const isWhollyMissing = new Map();
  const named = new Set();
  for (const line of evidence.lines) {
    const ref = refOf(line);
    const isRepeated = ref === null || named.has(nameOf(ref));
    if (!isRepeated && isAskedFor(evidence, line)) named.add(nameOf(ref));
    if (isRepeated || !OF_RECORDING.has(line.type)) continue;
    const id = line.body.recording;
    isWhollyMissing.set(id, (isWhollyMissing.get(id) ?? true) && isMissing(evidence, line.body.object));
  }
  return new Set([...isWhollyMissing].filter(([, all]) => all).map(([id]) => id));
}

function isSealed(bytes, lastOpen, recording) {
  const header = parseHeader(bytes);
  if (header === null || !header.stanzas.every(isX25519)) return false;
  // How many there must be is known where the last recording opened is this one.
  return lastOpen === null || lastOpen.recording !== recording || header.stanzas.length === lastOpen.recipients.length;
}

function judgeObject(evidence, line, ref, lastOpen) {
  const where = `object ${ref.digest}`;
  if (!evidence.objects.status(nameOf(ref)).there) {
    if (isMissing(evidence, ref)) evidence.find('OBJECT_MISSING', where);
    return;
  }
  const bytes = evidence.objects.readAs(ref);
  if (bytes === null) {
    evidence.find('OBJECT_ALTERED', where);
    return;
  }
  if (ref.form !== 'age') return;
  if (!isSealed(bytes, lastOpen, line.body.recording)) evidence.find('NOT_SEALED', where);
  const hasContent = line.type === 'open' || line.type === 'restricted' || (OF_RECORDING.has(line.type) && !line.body.recovered);
  if (evidence.asked.identity === null || !hasContent) return;
  const code = judgeContent(bytes, line, evidence);
  if (code) evidence.find(code, where);
}

function isSameSet(a, b) {
  const left = new Set(a);
  const right = new Set(b);
  return left.size === right.size && [...left].every((item) => right.has(item));
}

export function judgeObjects(evidence) {
  const removed = removedRecordings(evidence);
  for (const id of removed) evidence.find('RECORDING_REMOVED', `recording ${id}`);
  const named = new Set();
  let lastOpen = null;
  for (const line of evidence.lines) {
    if (line.type === 'open') {
      lastOpen = line.body;
      const { policy } = evidence.documentsAt(line);
      if (policy && !isSameSet(line.body.recipients, policy.recipients)) evidence.findAtEntry('RECIPIENTS_DIFFER', line.index);
    }
    const ref = refOf(line);
    if (ref === null || !isAskedFor(evidence, line)) continue;
    const name = nameOf(ref);
    if (named.has(name)) {
      if (ref.form === 'age') evidence.findAtEntry('OBJECT_REPEATED', line.index);
      evidence.repeated.add(line.index);
      continue;
    }
    named.add(name);
    if (!removed.has(line.body.recording)) judgeObject(evidence, line, ref, lastOpen);
  }
}

const isBeingWritten = (name) => name.startsWith('.') || name.endsWith('.open') || name.endsWith('.sealed');

export function judgeUnlisted(evidence) {
  if (evidence.broken) return;
  const listed = new Set(evidence.lines.filter((line) => isAskedFor(evidence, line)).map(refOf).filter((ref) => ref !== null).map(nameOf));
  for (const name of evidence.objects.names()) {
    if (!isBeingWritten(name) && !listed.has(name)) evidence.find('OBJECT_UNLISTED', `file ${name}`);
  }
}
