// Steps 2 and 3: checkpoints, witnesses, receipts, releases.
import { join } from 'node:path';
import { Receipt } from './document-shapes.mjs';
import { readRegular } from './files.mjs';
import { openDocument } from './jws.mjs';
import { isSignedByLedger, judgeCosignatures, parseNote } from './note.mjs';

/** The first fault of a note over a ledger of `size` lines: { code }; or { time, size }, time being null without a trusted cosignature. */
function judgeNote(evidence, note, size, withLedgerSignature, isBroken = evidence.broken) {
  if (note === null || note.origin !== evidence.origin) return { code: 'CHECKPOINT_INVALID' };
  const cosignatures = judgeCosignatures(note, evidence.trust.witnesses);
  if (cosignatures.false) return { code: 'CHECKPOINT_INVALID' };
  // Over a broken ledger a larger note cannot be compared: neither a fault nor a witness.
  if (note.size > size) return isBroken ? { time: null } : { code: 'LEDGER_CUT' };
  if (!note.root.equals(evidence.rootAt(note.size))) return { code: 'HISTORY_FORKED' };
  if (withLedgerSignature) {
    const key = evidence.keyAfter(note.size);
    if (key === null || !isSignedByLedger(note, key)) return { code: 'CHECKPOINT_INVALID' };
  }
  return { time: cosignatures.time, size: note.size };
}

/** Enters what a note was found to be. */
function enter(evidence, { code, time, size }, where) {
  if (code) evidence.find(code, where);
  else if (time !== null && size > 0) evidence.witnessedNotes.push({ size, time });
}

/** In an archive a note given belongs to the device whose origin it names. */
const isForAnother = (evidence, note) => note !== null && note.origin !== evidence.origin && Boolean(evidence.asked.origins?.has(note.origin));

export function judgeNotes(evidence) {
  for (const name of ['checkpoint', 'cosigned']) {
    const bytes = readRegular(join(evidence.folder, name));
    if (bytes !== null) enter(evidence, judgeNote(evidence, parseNote(bytes), evidence.size, true), name);
  }
  for (const [position, bytes] of evidence.asked.notes.entries()) {
    const note = parseNote(bytes);
    if (!isForAnother(evidence, note)) enter(evidence, judgeNote(evidence, note, evidence.size, false), `note ${position}`);
  }
}

/** `witnessed` entries: each stands after the lines that its note speaks of. */
export function judgeWitnessedEntries(evidence) {
  for (const line of evidence.lines.filter(({ type }) => type === 'witnessed')) {
    const judgement = judgeNote(evidence, parseNote(Buffer.from(line.body.note)), line.index, false, false);
    if (judgement.code) evidence.find(judgement.code, `entry ${line.index}`);
    else if (judgement.time !== null) {
      evidence.witnessTimes.set(line.index, judgement.time);
      evidence.enteredNotes.push({ size: judgement.size, time: judgement.time });
    }
  }
}

/** The extract's own note was judged with the extract; of the notes given, only one over the same tree can be compared with it. */
export function judgeNotesOfExtract(evidence) {
  enter(evidence, evidence.cosigned, 'cosigned');
  for (const [position, bytes] of evidence.asked.notes.entries()) {
    const note = parseNote(bytes);
    const isComparable = note === null || note.origin !== evidence.origin || note.size === evidence.size;
    const isFalse = note !== null && judgeCosignatures(note, evidence.trust.witnesses).false;
    if (isComparable || isFalse) enter(evidence, judgeNote(evidence, note, evidence.size, false), `note ${position}`);
  }
}

function openReceipt(evidence, line) {
  const bytes = evidence.objects.readAs(line.body.object);
  if (bytes === null) return null;
  for (const dock of evidence.trust.docks.filter(({ id }) => id === line.body.dock)) {
    const receipt = openDocument(bytes, 'er-receipt+jws', Receipt, [dock.receiptKey]);
    if (receipt && receipt.dock === dock.id && receipt.device === evidence.device) return receipt;
  }
  return null;
}

function judgeReceipt(evidence, line) {
  const receipt = openReceipt(evidence, line);
  if (receipt === null) {
    evidence.findAtEntry('RECEIPT_INVALID', line.index);
    return;
  }
  const { ledger_size: size, ledger_root: root, issued_us: time } = receipt;
  if (size !== line.body.ledger_size) {
    evidence.findAtEntry('RECEIPT_INVALID', line.index);
    return;
  }
  if (size > line.index || evidence.rootAt(size).toString('hex') !== root) {
    evidence.findAtEntry('HISTORY_FORKED', line.index);
    return;
  }
  evidence.receipts.set(line.body.object.digest, { size, time, covers: new Set(receipt.objects.map(({ digest }) => digest)) });
  evidence.witnessTimes.set(line.index, time);
}

function judgeRelease(evidence, line) {
  const covers = evidence.receipts.get(line.body.receipt)?.covers ?? new Set();
  for (const digest of line.body.objects) {
    if (covers.has(digest)) evidence.released.add(digest);
    else evidence.findAtEntry('RELEASED_UNCOVERED', line.index);
  }
}

export function judgeReceipts(evidence) {
  for (const line of evidence.lines) {
    if (line.type === 'receipt') judgeReceipt(evidence, line);
    if (line.type === 'released') judgeRelease(evidence, line);
  }
}
