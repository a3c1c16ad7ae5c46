// Step 7: recordings. Sums are made with BigInt: two numbers at the bound of the format are together beyond it.

const JOINT_US = 60000n;
const PAUSE_US = 500000n;

const OF_OPEN_RECORDING = new Set(['segment', 'photo', 'telemetry', 'mark', 'gap', 'close']);

class Recording {
  constructor(line) {
    this.id = line.body.recording;
    this.open = line;
    this.segments = [];
    this.photos = [];
    this.marks = [];
    this.gaps = [];
    this.hazards = [];
    this.restrictions = [];
    this.close = null;
    this.isUnfinished = false;
    this.end = 0n; // of the last segment that has times
    this.hasGapSinceSegment = false;
    this.hasFaultySegment = false; // one of the three codes of segments was found
    this.firstDelays = new Map(); // by boot id: from media time to the monotonic clock, of the first segment that tells it
  }
}

function faultOfSegment(recording, { body }, delay, firstDelay) {
  const start = BigInt(body.start_us);
  if (body.index !== recording.segments.length) return 'SEGMENT_ORDER';
  if (body.recovered) return null;
  if (start < recording.end - JOINT_US) return 'SEGMENT_ORDER';
  if (start > recording.end + JOINT_US && !recording.hasGapSinceSegment) return 'GAP_HIDDEN';
  if (delay === null || firstDelay === undefined) return null;
  const difference = delay - firstDelay;
  return difference > PAUSE_US || difference < -PAUSE_US ? 'PAUSE_HIDDEN' : null;
}

function takeSegment(evidence, recording, line) {
  const { body, time } = line;
  const delay = body.first_frame_us === null ? null : BigInt(body.first_frame_us) - BigInt(body.start_us);
  const firstDelay = recording.firstDelays.get(time.boot);
  const code = faultOfSegment(recording, line, delay, firstDelay);
  if (code && !recording.hasFaultySegment) {
    evidence.findAtEntry(code, line.index);
    recording.hasFaultySegment = true;
  }
  if (delay !== null && firstDelay === undefined) recording.firstDelays.set(time.boot, delay);
  if (!body.recovered) recording.end = BigInt(body.start_us) + BigInt(body.duration_us);
  recording.hasGapSinceSegment = false;
  recording.segments.push(line);
}

function takeClose(evidence, recording, line) {
  const { body } = line;
  recording.close = line;
  const frames = recording.segments.reduce((sum, segment) => sum + BigInt(segment.body.frames), 0n);
  if (body.segments !== recording.segments.length || BigInt(body.frames) !== frames) evidence.find('COUNT_MISMATCH', `recording ${recording.id}`);
  const { kind, video } = recording.open.body;
  const isWhole = recording.gaps.length === 0 && !recording.segments.some((segment) => segment.body.recovered);
  if ((kind !== 'video' && kind !== 'fixed') || video === null || !isWhole) return;
  const counted = 2000000n * (BigInt(body.frames) + BigInt(body.dropped));
  if (counted < BigInt(body.duration_us) * BigInt(video.frames_per_second)) evidence.findAtEntry('GAP_HIDDEN', line.index);
}

function takeGap(evidence, recording, line) {
  evidence.findAtEntry('GAP', line.index);
  recording.gaps.push(line);
  recording.hasGapSinceSegment = true;
}

const TAKERS = {
  segment: takeSegment,
  photo: (evidence, recording, line) => recording.photos.push(line),
  telemetry: () => {},
  mark: (evidence, recording, line) => recording.marks.push(line),
  gap: takeGap,
  close: takeClose,
};

function leaveUnfinished(evidence, recording) {
  recording.isUnfinished = true;
  evidence.find('RECORDING_UNFINISHED', `recording ${recording.id}`);
}

/** Judges, and leaves the recordings and the notices that count for step 9. */
export function judgeRecordings(evidence) {
  const known = new Set();
  let current = null;
  for (const line of evidence.lines) {
    const { type, body } = line;
    if (type === 'open' && known.has(body.recording)) {
      evidence.findAtEntry('RECORDING_REPEATED', line.index);
    } else if (type === 'open') {
      if (current) leaveUnfinished(evidence, current);
      current = new Recording(line);
      known.add(current.id);
      evidence.recordings.push(current);
    } else if (OF_OPEN_RECORDING.has(type)) {
      if (current?.id !== body.recording) evidence.findAtEntry('ORPHAN_ENTRY', line.index);
      else TAKERS[type](evidence, current, line);
      if (current?.close) current = null;
    } else if (type === 'notice') {
      if (known.has(body.recording)) evidence.findAtEntry('ORPHAN_ENTRY', line.index);
      else evidence.notices.push(line);
    } else if (type === 'hazard') {
      current?.hazards.push(line);
    } else if (type === 'restricted') {
      if (body.recording !== (current?.id ?? null)) evidence.findAtEntry('ORPHAN_ENTRY', line.index);
      else current?.restrictions.push(line);
    }
  }
  if (current && !evidence.broken) leaveUnfinished(evidence, current);
}
