// An extract: its own files and lines, in place of step 1.
import { join } from 'node:path';
import { fromBase64, sha256Hex } from './bytes.mjs';
import { ExtractHead } from './document-shapes.mjs';
import { readRegular } from './files.mjs';
import { parseStrict } from './json.mjs';
import { hasGoodCertificate, isGenesisOf, judgeSignature, nextKey, parseLine, splitLines } from './line.mjs';
import { LONGEST_PATH, leafHash, pathLeadsTo } from './merkle.mjs';
import { judgeCosignatures, parseNote } from './note.mjs';

const LARGEST_HEAD = 65536;
const LARGEST_ROW = 4096;

function readHead(evidence) {
  const bytes = readRegular(join(evidence.folder, 'extract.json'));
  if (bytes === null || bytes.length > LARGEST_HEAD) return null;
  const head = parseStrict(bytes);
  if (!ExtractHead(head)) return null;
  evidence.device = head.device;
  return head.agency === evidence.trust.agency ? head : null;
}

function readCosigned(evidence, head) {
  const bytes = readRegular(join(evidence.folder, 'cosigned'));
  const note = bytes && parseNote(bytes);
  return note && note.origin === evidence.origin && note.size === head.size ? note : null;
}

/** { index, path } of a row of `proofs`, or null. */
function parseRow(bytes) {
  if (bytes === undefined || bytes.length > LARGEST_ROW) return null;
  const [index, ...hashes] = bytes.toString('latin1').split(' ');
  if (!/^(?:0|[1-9][0-9]*)$/.test(index) || hashes.length > LONGEST_PATH) return null;
  const path = hashes.map(fromBase64);
  if (path.some((hash) => hash === null || hash.length !== 32)) return null;
  return { index: Number(index), path };
}

/** Follows the span through the lines: where it begins, which key signs, whether the lines are those that there must be. */
class Span {
  constructor(recording) {
    this.recording = recording;
    this.isBegun = false;
    this.epochKey = null;
    this.previous = null; // { index, digest } of the line before, within the span
    this.preamble = []; // what its lines are
    this.isIncomplete = false;
    this.isOpened = false;
    this.isClosed = false;
    this.isEnded = false;
  }

  take(line, raw) {
    if (this.isBegun) {
      if (this.isEnded || line.index !== this.previous.index + 1) this.isIncomplete = true;
    } else if (line.type !== 'boot' && line.type !== 'adopted') {
      this.isBegun = true;
      this.judgePreamble();
      if (line.type !== 'epoch' || line.body.reason !== 'recording_begin') this.isIncomplete = true;
    } else {
      this.preamble.push(line.type === 'adopted' ? `adopted ${line.body.document}` : line.type);
      return;
    }
    this.follow(line);
    this.epochKey = nextKey(line) ?? this.epochKey;
    this.previous = { index: line.index, digest: sha256Hex(raw) };
  }

  /** One boot, and of each kind of document one at most: the last of each. */
  judgePreamble() {
    const isTwice = new Set(this.preamble).size !== this.preamble.length;
    if (isTwice || !this.preamble.includes('boot')) this.isIncomplete = true;
  }

  follow(line) {
    if (this.isClosed && (line.type === 'epoch' || line.type === 'boot')) this.isEnded = true;
    if (line.type === 'open' && line.body.recording !== this.recording) this.isIncomplete = true;
    if (line.type === 'open' && line.body.recording === this.recording) this.isOpened = true;
    if (line.type === 'close' && line.body.recording === this.recording) this.isClosed = true;
  }

  /** What can be seen at the end only, of an extract that is not broken. */
  judgeEnd(size) {
    const isAtEndOfLedger = this.previous?.index === size - 1;
    if (!this.isBegun || !this.isOpened || (!this.isEnded && !isAtEndOfLedger)) this.isIncomplete = true;
  }
}

function isInPlace(evidence, span, line, index) {
  if (line.seq !== index || line.device !== evidence.device) return false;
  const isNext = span.isBegun && span.previous.index + 1 === index;
  if (isNext && line.prev !== span.previous.digest) return false;
  if (index === 0 && line.type !== 'boot') return false;
  return line.type !== 'genesis' || isGenesisOf(line, evidence.trust.agency);
}

function judgeLine(evidence, span, line, raw, { index, path }) {
  if (!isInPlace(evidence, span, line, index)) return 'LINE_OUT_OF_PLACE';
  if (line.type === 'boot' && !hasGoodCertificate(line, evidence.trust)) return 'CERTIFICATE';
  if (!pathLeadsTo(evidence.cosignedNote.root, leafHash(raw), index, evidence.size, path)) return 'PROOF_INVALID';
  // The key of a line before the span's second is not at hand, except that of a `boot`.
  let fault = null;
  if (line.type === 'boot') fault = judgeSignature(line, line.certificate.publicKey);
  else if (span.epochKey !== null) fault = judgeSignature(line, span.epochKey);
  return fault ?? (nextKey(line) === null ? 'SIGNATURE_INVALID' : null);
}

/** Takes the lines; gives false where the extract breaks. */
function takeLines(evidence, span) {
  const misfit = () => {
    evidence.find('EXTRACT_MALFORMED', 'extract');
    return false;
  };
  const files = ['lines.jws', 'proofs'].map((name) => readRegular(join(evidence.folder, name)));
  if (files.includes(null)) return misfit();
  const [{ lines, rest }, rows] = files.map(splitLines);
  let last = -1;
  for (const [position, raw] of lines.entries()) {
    const row = parseRow(rows.lines[position]);
    if (row === null || row.index <= last || row.index >= evidence.size) return misfit();
    last = row.index;
    const { fault, line } = parseLine(raw);
    const code = fault ?? judgeLine(evidence, span, line, raw, row);
    if (code) {
      evidence.findAtEntry(code, row.index);
      return false;
    }
    span.take(line, raw);
    evidence.lines.push(line);
  }
  return rest.length > 0 || rows.rest.length > 0 || rows.lines.length > lines.length ? misfit() : true;
}

/** Gives false when nothing more is to be judged. */
export function readExtract(evidence) {
  const head = readHead(evidence);
  const note = head && readCosigned(evidence, head);
  if (!note) {
    evidence.unreadable = true;
    evidence.find('EXTRACT_MALFORMED', 'extract');
    return false;
  }
  evidence.size = head.size;
  evidence.cosignedNote = note;
  evidence.rootAt = (size) => (size === head.size ? note.root : null);
  const cosignatures = judgeCosignatures(note, evidence.trust.witnesses);
  evidence.cosigned = cosignatures.false ? { code: 'CHECKPOINT_INVALID' } : { time: cosignatures.time, size: head.size };

  const span = new Span(head.recording);
  evidence.broken = !takeLines(evidence, span);
  if (!evidence.broken) span.judgeEnd(head.size);
  if (span.isIncomplete) evidence.find('EXTRACT_INCOMPLETE', 'extract');
  return true;
}
