// A path judged: which kind it is, and the steps in their order.
import { realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { judgeClocks } from './clocks.mjs';
import { judgeConduct, judgeOfficers } from './conduct.mjs';
import { judgeDocuments } from './documents.mjs';
import { judgeEpochs } from './epochs.mjs';
import { Evidence } from './evidence.mjs';
import { readExtract } from './extract.mjs';
import { exists, isFolder, namesIn, readRegular } from './files.mjs';
import { Report } from './findings.mjs';
import { judgeHardware } from './hardware.mjs';
import { readLedger } from './ledger.mjs';
import { judgeObjects, judgeUnlisted } from './objects.mjs';
import { judgeRecordings } from './recordings.mjs';
import { AskedWrong } from './trust.mjs';
import { tellUnjudged } from './unjudged.mjs';
import { judgeNotes, judgeNotesOfExtract, judgeReceipts, judgeWitnessedEntries } from './witnesses.mjs';

/** Steps 4 to 9; documents come first, because step 4 asks for the policy in force. */
function judgeWhatLinesSay(evidence) {
  judgeDocuments(evidence);
  judgeObjects(evidence);
  judgeUnlisted(evidence);
  judgeHardware(evidence);
  judgeRecordings(evidence);
  judgeClocks(evidence);
  judgeConduct(evidence);
}

function judgeDevice(evidence) {
  judgeNotes(evidence);
  if (evidence.unreadable) {
    judgeUnlisted(evidence);
  } else {
    judgeWitnessedEntries(evidence);
    judgeReceipts(evidence);
    judgeWhatLinesSay(evidence);
    judgeEpochs(evidence);
  }
  tellUnjudged(evidence);
}

function judgeExtract(evidence) {
  if (readExtract(evidence)) {
    judgeNotesOfExtract(evidence);
    judgeWhatLinesSay(evidence);
  }
  tellUnjudged(evidence);
}

function judgeArchive(path, names, asked, report) {
  const archive = names.map((name) => new Evidence({ kind: 'archived', folder: join(path, name), folderName: name, asked, report }));
  for (const evidence of archive) readLedger(evidence);
  asked.origins = new Set(archive.map(({ origin }) => origin));
  for (const evidence of archive) judgeDevice(evidence);
  judgeOfficers(archive);
}

/** The path itself may be a symbolic link: only inside the evidence none is followed. */
function resolveGiven(given) {
  try {
    return realpathSync(given);
  } catch {
    throw new AskedWrong('no such path');
  }
}

/** asked: { trust, identity, notes: [bytes], acceptSimulated }. */
export function judgePath(given, asked) {
  const report = new Report();
  const path = resolveGiven(given);
  const one = (kind) => new Evidence({ kind, folder: path, folderName: basename(resolve(given)), asked, report });
  if (readRegular(join(path, 'extract.json')) !== null) {
    judgeExtract(one('extract'));
  } else if (exists(join(path, 'ledger.jws'))) {
    const evidence = one('device');
    readLedger(evidence);
    judgeDevice(evidence);
  } else {
    const names = namesIn(path).filter((name) => isFolder(join(path, name)) && exists(join(path, name, 'ledger.jws')));
    if (names.length === 0) throw new AskedWrong('neither an extract nor a device folder nor an archive');
    judgeArchive(path, names, { ...asked }, report);
  }
  return report.result();
}
