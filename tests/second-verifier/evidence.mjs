// One device's evidence while it is judged: what was read of it, what each step found out for the later ones.
import { ObjectStore } from './files.mjs';

export class Evidence {
  /** kind: `device` (a folder given as such), `archived` (one of an archive), `extract`. */
  constructor({ kind, folder, folderName, asked, report }) {
    this.kind = kind;
    this.folder = folder;
    this.device = folderName; // until a line or the extract names it
    this.asked = asked; // { trust, identity, notes, acceptSimulated, origins of an archive }
    this.report = report;
    this.objects = new ObjectStore(folder);

    // Step 1. Lines that passed: { index, type, body, time, signer }, in order; `size` counts those of the whole tree known.
    this.lines = [];
    this.size = 0;
    this.broken = false;
    this.unreadable = false;
    this.rootAt = () => null;
    this.keyAfter = () => null;
    // Of an extract: its note, and what step 2 is to make of it.
    this.cosignedNote = null;
    this.cosigned = null;

    // Step 2: { size, time } of every witnessed note. By the index of the entry: times of `witnessed` and valid `receipt` entries.
    this.witnessedNotes = [];
    // Of `witnessed` entries: they bound times, and say nothing of what may have followed.
    this.enteredNotes = [];
    this.witnessTimes = new Map();

    // Step 3: receipts that passed, by digest; digests that may be gone.
    this.receipts = new Map();
    this.released = new Set();

    // Step 4: entries whose object was named before.
    this.repeated = new Set();

    // Step 5: documents in force before each line, by the index of the line.
    this.inForce = new Map();

    // Step 7: recordings in the order of their `open`; `notice` entries that count.
    this.recordings = [];
    this.notices = [];
  }

  get trust() {
    return this.asked.trust;
  }

  get isExtract() {
    return this.kind === 'extract';
  }

  get origin() {
    return `${this.trust.agency}/enforcement-recorder/${this.device}`;
  }

  get witnessedSize() {
    return this.witnessedNotes.reduce((largest, note) => Math.max(largest, note.size), 0);
  }

  find(code, where) {
    this.report.find(code, this.device, where);
  }

  findAtEntry(code, index) {
    this.find(code, `entry ${index}`);
  }

  /** { profile, policy } in force at a line; either may be null. */
  documentsAt(line) {
    return this.inForce.get(line.index);
  }
}
