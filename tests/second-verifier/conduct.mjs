// Step 9: the regulation, for every recording that was opened.
import { readParticulars } from './content.mjs';

const STOP_ALLOWANCE_US = 2000000n;
const UNASSIGNED = 'unassigned';
const SECRETS = ['state_secret', 'commercial_secret', 'privacy'];

function judgeKind(evidence, { open, segments, photos, close }) {
  const { kind, video, sound } = open.body;
  const isOther = ((kind === 'video' || kind === 'fixed') && video === null)
    || (kind === 'audio' && (sound === null || video !== null))
    || (kind === 'photo' && close !== null && (segments.length > 0 || photos.length === 0));
  if (isOther) evidence.findAtEntry('FORMAT_OF_KIND', open.index);
}

function isServed(notice, kind, policy) {
  const { outcome, means, frames_total: total, frames_consumed: consumed, underruns, heard } = notice.body;
  if (outcome !== 'completed') return false;
  if (means === 'oral') return true;
  if (means === 'posted') return kind === 'fixed';
  const mustBeHeard = policy?.notice.must_be_heard ?? true;
  const wasHeard = heard.state === 'heard' || (heard.state === 'not_measured' && !mustBeHeard);
  return consumed === total && total > 0 && underruns === 0 && wasHeard;
}

function judgeNotice(evidence, { id, open, segments, photos }, policy) {
  const { boot } = open.time;
  const notice = evidence.notices
    .filter((line) => line.body.recording === id && line.index < open.index && line.time.boot === boot)
    .at(-1);
  if (!notice) {
    evidence.find('NOTICE_MISSING', `recording ${id}`);
    return;
  }
  const { means, asset, ended_us: ended } = notice.body;
  if (!isServed(notice, open.body.kind, policy)) evidence.findAtEntry('NOTICE_NOT_SERVED', notice.index);
  if (policy && means === 'played' && asset !== policy.notice.digest) evidence.findAtEntry('NOTICE_OTHER_SOUND', notice.index);
  const exposures = [
    ...segments.map((line) => ({ line, at: line.body.first_frame_us })),
    ...photos.map((line) => ({ line, at: line.body.captured_us })),
  ];
  const isEarly = ({ line, at }) => at !== null && line.time.boot === boot && at < ended;
  if (exposures.some(isEarly)) evidence.find('FRAME_BEFORE_NOTICE', `recording ${id}`);
}

function differs(open, assignment) {
  const { action, stage, matter } = open.body;
  if (assignment === null) return action !== null || stage !== null || matter !== null;
  return assignment.action !== action || assignment.stage !== stage || assignment.matter !== matter;
}

function judgeParticulars(evidence, { id, open, gaps, isUnfinished }) {
  const { action, stage, matter, particulars: ref } = open.body;
  if ([action, stage, matter, ref].includes(null)) evidence.findAtEntry('PARTICULARS_MISSING', open.index);
  const particulars = readParticulars(open, evidence);
  if (particulars === null) {
    evidence.report.cannotJudge('R10', 'R13.2', 'R13.3');
    return;
  }
  const { assignment } = particulars;
  if (differs(open, assignment)) evidence.findAtEntry('PARTICULARS_DIFFER', open.index);
  if (assignment === null) return;
  if (assignment.mandatory && (gaps.length > 0 || isUnfinished)) evidence.find('MANDATORY_INTERRUPTED', `recording ${id}`);
  if (SECRETS.includes(assignment.restricted)) evidence.findAtEntry('RECORDED_RESTRICTED', open.index);
  if (assignment.restricted === 'other') evidence.findAtEntry('RECORDED_UNSUITABLE', open.index);
}

function judgeSite(evidence, { id, open, close, marks }) {
  const isAsked = close !== null && open.body.kind !== 'photo' && open.body.kind !== 'fixed';
  const isIdentified = marks.some(({ body }) => body.kind === 'site_sign' || body.kind === 'site_spoken');
  if (isAsked && !isIdentified) evidence.find('SITE_NOT_IDENTIFIED', `recording ${id}`);
}

function judgeRestart(evidence, { id, open }, mattersBefore) {
  const { kind, matter } = open.body;
  if (kind === 'photo' || matter === null) return;
  if (mattersBefore.has(matter)) evidence.find('RESTARTED', `recording ${id}`);
  mattersBefore.add(matter);
}

function hazardState(inputs, oldest) {
  if (inputs.some(({ state }) => state === 'set')) return 'set';
  const isStale = ({ state, age_us: age }) => state === 'stale' || age > oldest;
  return inputs.length === 0 || inputs.some(isStale) ? 'stale' : 'clear';
}

/** The approval of the profile, if it is of this unit and holds at this line; otherwise null. */
function approvalAt(line, profile) {
  const approval = profile?.ex_approval ?? null;
  const holds = approval !== null && approval.unit_serial === profile.serial && line.time.utc_us < approval.expires_us;
  return holds ? approval : null;
}

function judgeInterlock(evidence, { open }, { profile, policy }) {
  const { interlock } = open.body;
  if (interlock.verdict === 'refused') evidence.findAtEntry('RECORDED_THOUGH_REFUSED', open.index);
  if (!policy) return;
  const state = hazardState(interlock.inputs, policy.hazard.max_age_us);
  if (state === 'clear' || (state === 'stale' && !policy.hazard.stale_counts_as_set)) return;
  const approval = approvalAt(open, profile);
  if (approval === null || approval.certificate !== interlock.approval) evidence.findAtEntry('RECORDED_UNDER_HAZARD', open.index);
}

const isRestriction = (isOther) => ({ body }) => (body.content === 'other') === isOther;

/** What must end a recording: a frame too long after it, for the first entry of each code that has one. */
function judgeEnds(evidence, { open, hazards, restrictions, segments, photos }, profile) {
  const frames = [
    ...segments
      .filter(({ body }) => body.first_frame_us !== null)
      .map((line) => ({ line, at: BigInt(line.body.first_frame_us) + BigInt(line.body.duration_us) })),
    ...photos.map((line) => ({ line, at: BigInt(line.body.captured_us) })),
  ].sort((a, b) => a.line.index - b.line.index);
  const judge = (code, ends) => {
    const firstBefore = ({ line }) => ends.find((end) => end.time.boot === line.time.boot && end.index < line.index);
    const isLate = (frame) => firstBefore(frame) !== undefined && frame.at > BigInt(firstBefore(frame).time.mono_us) + STOP_ALLOWANCE_US;
    const late = frames.find(isLate);
    if (late) evidence.findAtEntry(code, firstBefore(late).index);
  };
  const endsIt = (hazard) => hazard.body.state === 'set' && approvalAt(hazard, profile) === null;
  if (open.body.interlock.approval === null) judge('RECORDED_UNDER_HAZARD', hazards.filter(endsIt));
  judge('RECORDED_RESTRICTED', restrictions.filter(isRestriction(false)));
  judge('RECORDED_UNSUITABLE', restrictions.filter(isRestriction(true)));
}

export function judgeConduct(evidence) {
  const mattersBefore = new Set();
  for (const recording of evidence.recordings) {
    const documents = evidence.documentsAt(recording.open);
    judgeKind(evidence, recording);
    judgeNotice(evidence, recording, documents.policy);
    judgeParticulars(evidence, recording);
    judgeSite(evidence, recording);
    if (!evidence.isExtract) judgeRestart(evidence, recording, mattersBefore);
    judgeInterlock(evidence, recording, documents);
    judgeEnds(evidence, recording, documents.profile);
    if (documents.profile?.officer === UNASSIGNED) evidence.findAtEntry('OFFICER_UNASSIGNED', recording.open.index);
  }
}

/** R16 over an archive: one officer, two devices, at once. */
export function judgeOfficers(archive) {
  const spans = archive.flatMap((evidence, place) => evidence.recordings
    .filter(({ close }) => close !== null)
    .map(({ open, close }) => ({
      evidence, place, open, officer: evidence.documentsAt(open).profile?.officer, from: open.time.utc_us, to: close.time.utc_us,
    })));
  // Who holds no device holds no two of them: `unassigned` is nobody's name.
  const assigned = spans.filter(({ officer }) => officer !== undefined && officer !== UNASSIGNED);
  // Begun at the same moment, the later is the one of the device that comes later in the archive.
  const isEarlier = (a, b) => a.from < b.from || (a.from === b.from && a.place < b.place);
  for (const later of assigned) {
    const isOverlapped = assigned.some((earlier) => earlier.evidence.device !== later.evidence.device && earlier.officer === later.officer
      && isEarlier(earlier, later) && later.from < earlier.to);
    if (isOverlapped) later.evidence.findAtEntry('OFFICER_TWO_DEVICES', later.open.index);
  }
}
