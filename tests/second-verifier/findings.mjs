// The table of findings, and the report that they make.
import { compareCodePoints } from './bytes.mjs';

export const AXES = ['integrity', 'provenance', 'completeness', 'continuity', 'time', 'conduct', 'confidentiality'];
export const RULES = ['R3', 'R6', 'R10', 'R12.1', 'R12.2', 'R12.3', 'R12.4', 'R13.1', 'R13.2', 'R13.3', 'R16', 'R17', 'R18', 'R22'];

const TABLE = new Map(Object.entries({
  LEDGER_UNREADABLE: ['integrity', 'R22'],
  EXTRACT_MALFORMED: ['integrity', 'R22'],
  PROOF_INVALID: ['integrity', 'R22'],
  EXTRACT_INCOMPLETE: ['completeness', 'R22'],
  TORN_TAIL: ['continuity', 'R22'],
  LINE_MALFORMED: ['integrity', 'R22'],
  ALGORITHM_REFUSED: ['provenance', 'R22'],
  TYPE_UNKNOWN: ['integrity', 'R22'],
  LINE_OUT_OF_PLACE: ['integrity', 'R22'],
  CERTIFICATE: ['provenance', null],
  KEY_OUT_OF_SPAN: ['provenance', 'R22'],
  SIGNATURE_INVALID: ['provenance', 'R22'],
  EPOCH_OVERDUE: ['provenance', null],
  CHECKPOINT_INVALID: ['integrity', 'R22'],
  LEDGER_CUT: ['completeness', 'R22'],
  HISTORY_FORKED: ['completeness', 'R22'],
  RECEIPT_INVALID: ['provenance', 'R22'],
  RELEASED_UNCOVERED: ['completeness', 'R22'],
  OBJECT_ALTERED: ['integrity', 'R22'],
  OBJECT_MISSING: ['completeness', 'R22'],
  RECORDING_REMOVED: ['completeness', 'R22'],
  OBJECT_UNLISTED: ['integrity', 'R12.4'],
  OBJECT_REPEATED: ['integrity', 'R12.4'],
  NOT_SEALED: ['confidentiality', null],
  RECIPIENTS_DIFFER: ['confidentiality', null],
  CONTENT_UNREADABLE: ['confidentiality', null],
  CONTENT_MISMATCH: ['integrity', 'R22'],
  DOCUMENT_INVALID: ['provenance', null],
  DOCUMENT_ROLLED_BACK: ['provenance', null],
  CERTIFICATE_EXPIRED: ['provenance', null],
  CERTIFICATE_REVOKED: ['provenance', null],
  REVOCATION_LIST: ['provenance', null],
  SIMULATED_HARDWARE: ['provenance', null],
  RECORDING_UNFINISHED: ['continuity', 'R12.4'],
  RECORDING_REPEATED: ['continuity', 'R12.4'],
  ORPHAN_ENTRY: ['continuity', 'R3'],
  SEGMENT_ORDER: ['continuity', 'R12.4'],
  GAP_HIDDEN: ['continuity', 'R12.4'],
  PAUSE_HIDDEN: ['continuity', 'R12.4'],
  COUNT_MISMATCH: ['continuity', 'R12.4'],
  GAP: ['continuity', 'R12.4'],
  CLOCK_STEP_HIDDEN: ['time', null],
  CLOCK_STEPPED: ['time', null],
  CLOCK_BEHIND: ['time', null],
  TIME_AFTER_WITNESS: ['time', null],
  TIME_BEFORE_WITNESS: ['time', null],
  FORMAT_OF_KIND: ['conduct', 'R6'],
  MANDATORY_INTERRUPTED: ['conduct', 'R10'],
  NOTICE_MISSING: ['conduct', 'R12.1'],
  NOTICE_NOT_SERVED: ['conduct', 'R12.1'],
  FRAME_BEFORE_NOTICE: ['conduct', 'R12.1'],
  NOTICE_OTHER_SOUND: ['conduct', 'R12.1'],
  PARTICULARS_MISSING: ['conduct', 'R12.2'],
  PARTICULARS_DIFFER: ['conduct', 'R12.2'],
  SITE_NOT_IDENTIFIED: ['conduct', 'R12.3'],
  RESTARTED: ['conduct', 'R12.4'],
  RECORDED_UNDER_HAZARD: ['conduct', 'R13.1'],
  RECORDED_THOUGH_REFUSED: ['conduct', 'R13.1'],
  RECORDED_RESTRICTED: ['conduct', 'R13.2'],
  RECORDED_UNSUITABLE: ['conduct', 'R13.3'],
  OFFICER_UNASSIGNED: ['conduct', 'R16'],
  OFFICER_TWO_DEVICES: ['conduct', 'R16'],
}));

/** Gathers findings and what could not be judged, over all devices of a path. The same finding twice is one. */
export class Report {
  constructor() {
    this.findings = new Map();
    this.unjudged = new Set();
  }

  find(code, device, where) {
    if (!TABLE.has(code)) throw new Error(`no such finding: ${code}`);
    this.findings.set(JSON.stringify([code, device, where]), { code, device, where });
  }

  /** Axes or rules that something kept from being judged. */
  cannotJudge(...names) {
    for (const name of names) this.unjudged.add(name);
  }

  result() {
    const findings = [...this.findings.values()].sort((a, b) => compareCodePoints(a.code, b.code)
      || compareCodePoints(a.device, b.device) || compareCodePoints(a.where, b.where));
    const found = new Set(findings.flatMap(({ code }) => TABLE.get(code)));
    const verdict = (name) => {
      if (found.has(name)) return 'finding';
      return this.unjudged.has(name) ? 'unknown' : 'ok';
    };
    const verdicts = (names) => Object.fromEntries(names.map((name) => [name, verdict(name)]));
    return { axes: verdicts(AXES), rules: verdicts(RULES), findings };
  }
}
