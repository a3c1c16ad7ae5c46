// The tables of entry types: what stands in a line, and in the body of each type.
import {
  ActionKind, Base64url, Count, Digest, Flag, FormatVersion, Key, Micros, DocumentRef, Name, SealedRef, Recipient, RecordingId, RestrictedContent, Signed, Stage, StopReason, Text, Word,
  dictionary, list, nullable, oneOf, pattern, shape, text,
} from './shapes.mjs';
import { isObject } from './json.mjs';

const HazardState = oneOf('clear', 'set', 'stale');
const HazardInput = shape({ source: oneOf('switch', 'matter', 'zone_map', 'command'), state: HazardState, age_us: Micros });
const Interlock = shape({
  verdict: oneOf('permitted', 'refused'),
  rule: nullable(Text),
  reason: Text,
  hazard: HazardState,
  inputs: list(HazardInput),
  approval: nullable(Text),
});
const Heard = shape({
  state: oneOf('heard', 'not_heard', 'not_measured'),
  correlation_milli: nullable(Signed),
  level_centi_dbfs: nullable(Signed),
});
const VideoFormat = shape({ codec: oneOf('h264'), width: Count, height: Count, frames_per_second: Count });
const SoundFormat = shape({ codec: oneOf('aac'), sample_rate: Count, channels: Count });

const EntryTime = shape({
  utc_us: Micros,
  mono_us: Micros,
  boot: pattern(/^[0-9a-f-]{8,64}$/),
  source: oneOf('gnss', 'ntp', 'rtc', 'none'),
  error_us: nullable(Micros),
});

const BODIES = {
  boot: {
    counter: Count, certificate: Base64url, epoch_key: Key, software: Text, hardware: dictionary(Word, Word), tail_cut_bytes: Count,
  },
  genesis: {
    format: oneOf('enforcement-recorder/1'),
    agency: Name,
    device: Name,
    serial: Text,
    hash: oneOf('sha-256'),
    seal: oneOf('age-v1-x25519'),
    hardware: dictionary(Word, Word),
  },
  adopted: { document: oneOf('profile', 'policy'), version: Count, object: DocumentRef },
  epoch: { key: Key, reason: oneOf('recording_begin', 'recording_end', 'lines') },
  self_test: { results: dictionary(Word, Text) },
  refused: { rule: Text, reason: Text, interlock: nullable(Interlock) },
  notice: {
    recording: RecordingId,
    means: oneOf('played', 'oral', 'posted'),
    outcome: oneOf('completed', 'failed'),
    asset: nullable(Digest),
    frames_total: Count,
    frames_consumed: Count,
    sample_rate: Count,
    underruns: Count,
    started_us: Micros,
    ended_us: Micros,
    heard: Heard,
    failure: nullable(Text),
  },
  open: {
    recording: RecordingId,
    kind: oneOf('video', 'audio', 'photo', 'fixed'),
    action: nullable(ActionKind),
    stage: nullable(Stage),
    matter: nullable(Name),
    particulars: nullable(SealedRef),
    recipients: list(Recipient),
    interlock: Interlock,
    video: nullable(VideoFormat),
    sound: nullable(SoundFormat),
  },
  segment: {
    recording: RecordingId,
    index: Count,
    object: SealedRef,
    start_us: Micros,
    duration_us: Micros,
    first_frame_us: nullable(Micros),
    frames: Count,
    recovered: Flag,
  },
  mark: { recording: RecordingId, kind: oneOf('moment', 'site_sign', 'site_spoken'), at_us: Micros },
  photo: { recording: RecordingId, object: SealedRef, at_us: Micros, captured_us: Micros },
  telemetry: { recording: RecordingId, object: SealedRef, start_us: Micros, end_us: Micros, samples: Count },
  gap: {
    recording: RecordingId,
    cause: oneOf('power_cut', 'camera', 'microphone', 'storage', 'overload', 'encoder'),
    missing_us: nullable(Micros),
    dropped: Count,
  },
  hazard: { state: HazardState, inputs: list(HazardInput) },
  restricted: { recording: nullable(RecordingId), content: RestrictedContent, note: nullable(SealedRef) },
  close: { recording: RecordingId, reason: StopReason, segments: Count, frames: Count, dropped: Count, duration_us: Micros },
  clock: { step_us: Signed, before: Text, after: Text },
  health: { free_bytes: Count, battery_percent: nullable(Count), minutes_left: nullable(Count), temperature_millicelsius: nullable(Signed) },
  docked: { state: oneOf('in', 'out'), dock: nullable(Name) },
  receipt: { dock: Name, object: DocumentRef, ledger_size: Count },
  released: { receipt: Digest, objects: list(Digest), bytes: Count },
  witnessed: { note: text(8192) },
  heartbeat: { state: Text },
};

const TABLE = new Map(Object.entries(BODIES).map(([type, fields]) => [type, shape(fields)]));
const SKIPPABLE = /^x-[a-z0-9_-]{1,62}$/;

/** A line's payload, its body being no more than an object yet. */
export const Payload = shape({
  v: FormatVersion, seq: Count, prev: Digest, device: Name, type: Text, time: EntryTime, body: isObject,
});

/** The shape of a type's body; undefined for a type that is refused. */
export function bodyShape(type) {
  if (TABLE.has(type)) return TABLE.get(type);
  return SKIPPABLE.test(type) ? isObject : undefined;
}
