// What sealed objects hold, with an identity.
import { open } from './age.mjs';
import { Particulars, Remark, Telemetry } from './document-shapes.mjs';
import { parseStrict } from './json.mjs';
import { describeSegment } from './mp4.mjs';

/** Of the sealed object; a segment is bounded by its boxes instead. */
const LARGEST_TO_OPEN = 67108864;

function isSegment(content, { body }) {
  const found = describeSegment(content);
  return found !== null && found.videoSamples === body.frames && found.startUs === BigInt(body.start_us);
}

const isPhoto = (content) => content.length >= 2 && content[0] === 0xff && content[1] === 0xd8;

function isTelemetry(content, { body }, device) {
  const value = parseStrict(content);
  if (!Telemetry(value) || value.device !== device || value.recording !== body.recording) return false;
  const times = value.positions.map(({ at_us: at }) => at);
  return times.length === body.samples
    && times.every((at, i) => at >= body.start_us && at <= body.end_us && (i === 0 || at >= times[i - 1]));
}

function isParticulars(content, line, device) {
  const value = parseStrict(content);
  return Particulars(value) && value.device === device;
}

function isRemark(content, line, device) {
  const value = parseStrict(content);
  return Remark(value) && value.device === device;
}

const TESTS = { segment: isSegment, photo: isPhoto, telemetry: isTelemetry, open: isParticulars, restricted: isRemark };

/** The code for an object's content, or null. The bytes are those of the sealed object, size and digest being right. */
export function judgeContent(bytes, line, evidence) {
  if (line.type !== 'segment' && bytes.length > LARGEST_TO_OPEN) return 'CONTENT_MISMATCH';
  const content = open(bytes, evidence.asked.identity);
  if (content === null) return 'CONTENT_UNREADABLE';
  return TESTS[line.type](content, line, evidence.device) ? null : 'CONTENT_MISMATCH';
}

/** Particulars of an `open`, or null when they cannot be had. */
export function readParticulars(line, evidence) {
  const ref = line.body.particulars;
  if (evidence.asked.identity === null || ref === null || evidence.repeated.has(line.index) || ref.form !== 'age' || ref.size > LARGEST_TO_OPEN) return null;
  const bytes = evidence.objects.readAs(ref);
  const content = bytes && open(bytes, evidence.asked.identity);
  const value = content ? parseStrict(content) : undefined;
  return Particulars(value) && value.device === evidence.device ? value : null;
}
