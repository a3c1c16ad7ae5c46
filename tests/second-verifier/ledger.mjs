// Step 1: the lines of a ledger.
import { join } from 'node:path';
import { sha256Hex } from './bytes.mjs';
import { readRegular } from './files.mjs';
import { LARGEST_JWS } from './jws.mjs';
import { hasGoodCertificate, isGenesisOf, judgeSignature, nextKey, parseLine, splitLines } from './line.mjs';
import { RootHistory } from './merkle.mjs';

const NOTHING_BEFORE = '0'.repeat(64);

function isInPlace(line, count, previous, device, agency) {
  if (line.seq !== count || line.prev !== previous) return false;
  if (count > 0 && line.device !== device) return false;
  if (count === 0 && line.type !== 'boot') return false;
  if ((line.type === 'genesis') !== (count === 1)) return false;
  return line.type !== 'genesis' || isGenesisOf(line, agency);
}

/** The first check that a line fails, or null. */
function judge(line, { count, previous, epochKey, evidence }) {
  const { trust } = evidence;
  if (!isInPlace(line, count, previous, evidence.device, trust.agency)) return 'LINE_OUT_OF_PLACE';
  if (line.type === 'boot' && !hasGoodCertificate(line, trust)) return 'CERTIFICATE';
  const fault = judgeSignature(line, line.type === 'boot' ? line.certificate.publicKey : epochKey);
  if (fault) return fault;
  return nextKey(line) === null ? 'SIGNATURE_INVALID' : null;
}

export function readLedger(evidence) {
  const bytes = readRegular(join(evidence.folder, 'ledger.jws'));
  if (bytes === null || bytes.length === 0) {
    evidence.unreadable = true;
    evidence.find('LEDGER_UNREADABLE', 'ledger');
  }
  const { lines, rest } = splitLines(bytes ?? Buffer.alloc(0));
  const tree = new RootHistory();
  const keys = [null]; // in force after so many lines
  let previous = NOTHING_BEFORE;
  let epochKey = null;

  const breakAt = (code, count) => {
    evidence.broken = true;
    evidence.findAtEntry(code, count);
  };

  for (const [count, raw] of lines.entries()) {
    const { fault, line } = parseLine(raw);
    const code = fault ?? judge(line, { count, previous, epochKey, evidence });
    if (code) {
      breakAt(code, count);
      break;
    }
    if (count === 0) evidence.device = line.device;
    line.signer = line.type === 'boot' ? null : epochKey.toString('hex');
    epochKey = nextKey(line) ?? epochKey;
    previous = sha256Hex(raw);
    evidence.lines.push(line);
    tree.append(raw);
    keys.push(epochKey);
  }
  if (!evidence.broken && rest.length > LARGEST_JWS) breakAt('LINE_MALFORMED', lines.length);
  else if (!evidence.broken && rest.length > 0) evidence.findAtEntry('TORN_TAIL', lines.length);

  evidence.size = evidence.lines.length;
  evidence.rootAt = (size) => tree.rootAt(size);
  evidence.keyAfter = (size) => keys[size];
}
