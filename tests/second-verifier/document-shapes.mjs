// The tables of documents: signed ones, sealed ones, the trust file, and the head of an extract.
import {
  ActionKind, Count, Digest, Flag, FormatVersion, Key, Micros, Name, ObjectRef, Recipient, RecordingId, RestrictedContent, Stage, Text,
  integer, list, nullable, oneOf, shape, text,
} from './shapes.mjs';

const LARGEST_RECEIPT = 256;

const ExApproval = shape({ marking: Text, certificate: Text, issuer: Text, expires_us: Micros, unit_serial: Text });

export const Profile = shape({
  v: FormatVersion,
  type: oneOf('profile'),
  version: Count,
  agency: Name,
  device: Name,
  serial: Text,
  officer: Name,
  section: Name,
  issued_us: Micros,
  ex_approval: nullable(ExApproval),
});

const NoticePolicy = shape({ digest: Digest, text: Text, must_be_heard: Flag, repeat: Flag, tone_interval_us: nullable(Micros) });
const HazardZone = shape({
  zone: oneOf('0', '1', '2', '20', '21', '22'),
  group: oneOf('IIA', 'IIB', 'IIC', 'IIIA', 'IIIB', 'IIIC'),
  temperature_class: nullable(oneOf('T1', 'T2', 'T3', 'T4', 'T5', 'T6')),
  surface_celsius: nullable(Count),
});
const HazardPolicy = shape({
  max_age_us: Micros, stale_counts_as_set: Flag, assumed_zone: nullable(HazardZone), zone_map: nullable(Digest), power_down: Flag,
});
const BatteryPolicy = shape({ alarm_minutes: Count, seal_minutes: Count });

export const Policy = shape({
  v: FormatVersion,
  type: oneOf('policy'),
  version: Count,
  agency: Name,
  issued_us: Micros,
  notice: NoticePolicy,
  hazard: HazardPolicy,
  battery: BatteryPolicy,
  recipients: list(Recipient),
  segment_us: Micros,
  epoch_lines: Count,
  receipts_needed: Count,
  release_after_us: Micros,
  minimum_free_bytes: Count,
});

export const Receipt = shape({
  v: FormatVersion,
  type: oneOf('receipt'),
  dock: Name,
  device: Name,
  objects: (value) => list(ObjectRef)(value) && value.length <= LARGEST_RECEIPT,
  ledger_size: Count,
  ledger_root: Digest,
  issued_us: Micros,
});

const Assignment = shape({
  matter: Name,
  action: ActionKind,
  stage: Stage,
  party: Text,
  site: Text,
  officers: list(Text),
  hazard: nullable(HazardZone),
  restricted: nullable(RestrictedContent),
  mandatory: Flag,
});

export const Particulars = shape({
  v: FormatVersion,
  type: oneOf('particulars'),
  device: Name,
  officer: Name,
  section: Name,
  source: nullable(oneOf('file', 'qr', 'dispatch')),
  assignment: nullable(Assignment),
});

export const Remark = shape({ v: FormatVersion, type: oneOf('remark'), device: Name, text: Text });

const Position = shape({
  at_us: Micros,
  latitude_e7: integer(-900000000, 900000000),
  longitude_e7: integer(-1800000000, 1800000000),
  altitude_mm: nullable(integer(-1000000, 100000000)),
  error_mm: nullable(Count),
  source: oneOf('gnss', 'fixed'),
});

export const Telemetry = shape({
  v: FormatVersion, type: oneOf('telemetry'), device: Name, recording: RecordingId, positions: list(Position),
});

export const TrustBundle = shape({
  v: FormatVersion,
  type: oneOf('trust'),
  agency: Name,
  agency_name: Text,
  root_certificate: text(),
  crl: text(),
  document_keys: list(Key),
  docks: list(shape({ id: Name, receipt_key: Key, witness_key: Key })),
  witnesses: list(shape({ id: Text, key: Key })),
  recipients: list(Recipient),
});

export const ExtractHead = shape({
  v: FormatVersion, type: oneOf('extract'), agency: Name, device: Name, recording: RecordingId, size: Count,
});
