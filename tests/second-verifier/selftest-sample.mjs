// A small good ledger, and an extract of it, made anew with whatever a test wants to be different.
import { sha256Hex } from './bytes.mjs';
import { RootHistory, leafHash, nodeHash } from './merkle.mjs';
import { ROOT_NAME, ageIdentity, certificate, jws, note, pem, revocationList, seal, segment, signer } from './selftest-crypto.mjs';

export const AGENCY = 'sample-agency';
export const DEVICE = 'rec-sample-01';
export const ORIGIN = `${AGENCY}/enforcement-recorder/${DEVICE}`;
export const RECORDING = '336bff3bc68ba7cb';
export const IDENTITY = ageIdentity('archive');
export const START_US = 1790000000000000;
export const keys = Object.fromEntries(
  ['root', 'identity', 'documents', 'receipts', 'dock', 'epoch-0', 'epoch-1', 'epoch-2'].map((name) => [name, signer(name)]),
);
const ESCROW = ageIdentity('escrow');
const BOOT = '7c9e0000-0001';
const SOUND = 'ab'.repeat(32);

const DEFAULTS = {
  identityCertificate: {}, // overrides
  revoked: [],
  payload: (payload) => payload, // every payload before it is signed
  header: () => ({}), // more header fields, by the number of lines before
  signerOf: (count, key) => key,
  content: (name, content) => content, // what is sealed
  lines: (lines) => lines, // entries [type, body] before they are made; the second argument puts an object there
  files: () => {}, // everything at the end
};

function interlock() {
  return {
    verdict: 'permitted', rule: null, reason: 'clear', hazard: 'clear', inputs: [{ source: 'switch', state: 'clear', age_us: 1000 }], approval: null,
  };
}

export function trustFile(change = {}) {
  const root = certificate({ subject: ROOT_NAME, key: keys.root, issuerKey: keys.root, serial: 1 });
  return Buffer.from(JSON.stringify({
    v: 1,
    type: 'trust',
    agency: AGENCY,
    agency_name: 'Sample Agency',
    root_certificate: pem('CERTIFICATE', root),
    crl: pem('X509 CRL', revocationList(change.revoked ?? [], keys.root)),
    document_keys: [keys.documents.x],
    docks: [{ id: 'dock-sample-01', receipt_key: keys.receipts.x, witness_key: keys.dock.x }],
    witnesses: [],
    recipients: [IDENTITY.name, ESCROW.name],
  }));
}

/** Everything of the sample: path → bytes. */
export function makeSample(change = {}) {
  const how = { ...DEFAULTS, ...change };
  const files = new Map([['trust.json', trustFile(how)]]);
  const put = (form, bytes) => {
    const digest = sha256Hex(bytes);
    files.set(`${DEVICE}/objects/${digest}.${form}`, bytes);
    return { digest, size: bytes.length, form };
  };
  const sealed = (name, content) => put('age', seal(how.content(name, content), [IDENTITY.recipient, ESCROW.recipient], name));
  const json = (value) => Buffer.from(JSON.stringify(value));

  const profile = put('jws', jws('er-profile+jws', {
    v: 1, type: 'profile', version: 3, agency: AGENCY, device: DEVICE, serial: 'SN1', officer: 'officer-7', section: 'north', issued_us: 1, ex_approval: null,
  }, keys.documents));
  const policy = put('jws', jws('er-policy+jws', {
    v: 1,
    type: 'policy',
    version: 5,
    agency: AGENCY,
    issued_us: 1,
    notice: { digest: SOUND, text: 'You are being recorded.', must_be_heard: true, repeat: false, tone_interval_us: null },
    hazard: { max_age_us: 5000000, stale_counts_as_set: true, assumed_zone: null, zone_map: null, power_down: false },
    battery: { alarm_minutes: 15, seal_minutes: 3 },
    recipients: [IDENTITY.name, ESCROW.name],
    segment_us: 2000000,
    epoch_lines: 20,
    receipts_needed: 1,
    release_after_us: 0,
    minimum_free_bytes: 0,
  }, keys.documents));
  const particulars = sealed('particulars', json({
    v: 1,
    type: 'particulars',
    device: DEVICE,
    officer: 'officer-7',
    section: 'north',
    source: 'dispatch',
    assignment: {
      matter: 'm-1', action: 'inspection', stage: 'start', party: 'P', site: 'S', officers: ['A', 'B'], hazard: null, restricted: null, mandatory: true,
    },
  }));
  const positions = [0, 1000000].map((at) => ({ at_us: at, latitude_e7: 1, longitude_e7: -1, altitude_mm: null, error_mm: 3000, source: 'gnss' }));
  const telemetry = sealed('telemetry', json({ v: 1, type: 'telemetry', device: DEVICE, recording: RECORDING, positions }));
  const segments = [0, 2000000].map((start, index) => sealed(`segment ${index}`, segment([[start * 0.09, 20], [start * 0.09 + 90000, 20]])));

  const identityCertificate = certificate({
    subject: { o: AGENCY, ou: 'identity', cn: DEVICE }, key: keys.identity, issuerKey: keys.root, serial: 7, ...how.identityCertificate,
  });
  const hardware = { camera: 'imx500' };
  const ofRecording = (body) => ({ recording: RECORDING, ...body });
  const entries = how.lines([
    ['boot', {
      counter: 1, certificate: identityCertificate.toString('base64url'), epoch_key: keys['epoch-0'].x, software: '1', hardware, tail_cut_bytes: 0,
    }],
    ['genesis', {
      format: 'enforcement-recorder/1', agency: AGENCY, device: DEVICE, serial: 'SN1', hash: 'sha-256', seal: 'age-v1-x25519', hardware,
    }],
    ['adopted', { document: 'profile', version: 3, object: profile }],
    ['adopted', { document: 'policy', version: 5, object: policy }],
    ['epoch', { key: keys['epoch-1'].x, reason: 'recording_begin' }],
    ['notice', ofRecording({
      means: 'played',
      outcome: 'completed',
      asset: SOUND,
      frames_total: 100,
      frames_consumed: 100,
      sample_rate: 48000,
      underruns: 0,
      started_us: 1,
      ended_us: 2,
      heard: { state: 'heard', correlation_milli: 900, level_centi_dbfs: -2000 },
      failure: null,
    })],
    ['open', ofRecording({
      kind: 'video',
      action: 'inspection',
      stage: 'start',
      matter: 'm-1',
      particulars,
      recipients: [ESCROW.name, IDENTITY.name],
      interlock: interlock(),
      video: { codec: 'h264', width: 1920, height: 1080, frames_per_second: 20 },
      sound: null,
    })],
    ['mark', ofRecording({ kind: 'site_sign', at_us: 0 })],
    ...segments.map((object, index) => ['segment', ofRecording({
      index, object, start_us: index * 2000000, duration_us: 2000000, first_frame_us: 6500000 + index * 2000000, frames: 40, recovered: false,
    })]),
    ['telemetry', ofRecording({ object: telemetry, start_us: 0, end_us: 1000000, samples: 2 })],
    ['x-note', { anything: [1, { more: null }] }],
    ['close', ofRecording({ reason: 'button', segments: 2, frames: 80, dropped: 0, duration_us: 4000000 })],
    ['epoch', { key: keys['epoch-2'].x, reason: 'recording_end' }],
    ['heartbeat', { state: 'idle' }],
  ], put);

  const tree = new RootHistory();
  const raws = [];
  let epochKey = null;
  let prev = '0'.repeat(64);
  entries.forEach(([type, body], seq) => {
    const mono = 1000000 * (seq + 1);
    const time = { utc_us: START_US + mono, mono_us: mono, boot: BOOT, source: 'ntp', error_us: 1200 };
    const payload = how.payload({ v: 1, seq, prev, device: DEVICE, type, time, body }, seq);
    const raw = jws('er-ledger+jws', payload, how.signerOf(seq, type === 'boot' ? keys.identity : epochKey), how.header(seq));
    if (type === 'boot') epochKey = keys['epoch-0'];
    if (type === 'epoch') epochKey = Object.values(keys).find(({ x }) => x === body.key) ?? epochKey;
    prev = sha256Hex(raw);
    tree.append(raw);
    raws.push(raw);
  });
  const size = raws.length;
  const witness = { name: 'dock-sample-01', key: keys.dock, seconds: (START_US + 60000000) / 1000000 };
  const cosigned = note(ORIGIN, size, tree.rootAt(size), epochKey, [witness]);
  files.set(`${DEVICE}/ledger.jws`, Buffer.concat(raws.flatMap((raw) => [raw, Buffer.from('\n')])));
  files.set(`${DEVICE}/checkpoint`, note(ORIGIN, size, tree.rootAt(size), epochKey, []));
  files.set(`${DEVICE}/cosigned`, cosigned);
  const sample = { files, raws, tree, cosigned, epochKey, witness };
  how.files(files, sample);
  return sample;
}

function subtreeRoot(leaves) {
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(subtreeRoot(leaves.slice(0, split)), subtreeRoot(leaves.slice(split)));
}

/** RFC 6962, 2.1.1, as it is written there. */
export function auditPath(index, leaves) {
  if (leaves.length === 1) return [];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return index < split
    ? [...auditPath(index, leaves.slice(0, split)), subtreeRoot(leaves.slice(split))]
    : [...auditPath(index - split, leaves.slice(split)), subtreeRoot(leaves.slice(0, split))];
}

/** The extract of the sample's recording; indices of the lines may be chosen otherwise. */
export function makeExtract(change = {}, indices = [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]) {
  const { files, raws, cosigned } = makeSample({ ...change, files: () => {} });
  const leaves = raws.map(leafHash);
  const extract = new Map([['trust.json', files.get('trust.json')]]);
  const text = (path, value) => extract.set(`out/${path}`, Buffer.from(value));
  text('extract.json', JSON.stringify({ v: 1, type: 'extract', agency: AGENCY, device: DEVICE, recording: RECORDING, size: raws.length }));
  text('lines.jws', indices.map((index) => `${raws[index]}\n`).join(''));
  text('proofs', indices.map((index) => `${[index, ...auditPath(index, leaves).map((hash) => hash.toString('base64'))].join(' ')}\n`).join(''));
  extract.set('out/cosigned', cosigned);
  for (const [path, bytes] of files) {
    if (path.includes('/objects/')) extract.set(path.replace(DEVICE, 'out'), bytes);
  }
  change.files?.(extract);
  return extract;
}
