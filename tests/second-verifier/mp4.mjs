// Fragmented MP4, as far as a segment's entry speaks of it: which boxes, how many video samples, where the first fragment begins.

const LARGEST_BOX = 268435456;

class BoxFault extends Error {}

/** Boxes that fill the bytes exactly. */
function boxes(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 8) throw new BoxFault('cut box');
    let size = bytes.readUInt32BE(at);
    let head = 8;
    if (size === 1) {
      if (bytes.length - at < 16) throw new BoxFault('cut box');
      size = Number(bytes.readBigUInt64BE(at + 8));
      head = 16;
    }
    // Size 0, "to the end of the file", is refused like all that is shorter than its own head: a segment is to be joined to others.
    if (size < head || size > LARGEST_BOX || size > bytes.length - at) throw new BoxFault('box size');
    found.push({ type: bytes.toString('latin1', at + 4, at + 8), body: bytes.subarray(at + head, at + size) });
    at += size;
  }
  return found;
}

const all = (parent, type) => parent.filter((box) => box.type === type);

function one(parent, type) {
  const found = all(parent, type);
  if (found.length !== 1) throw new BoxFault(`not one ${type}`);
  return found[0].body;
}

function need(bytes, length) {
  if (bytes.length < length) throw new BoxFault('short box');
  return bytes;
}

function tracks(moov) {
  const found = new Map();
  for (const trak of all(boxes(moov), 'trak')) {
    const parts = boxes(trak.body);
    const tkhd = need(one(parts, 'tkhd'), 24);
    const mdia = boxes(one(parts, 'mdia'));
    const mdhd = need(one(mdia, 'mdhd'), 24);
    // Version 1 has two times of 8 bytes before these fields, version 0 of 4.
    const id = tkhd.readUInt32BE(tkhd[0] === 1 ? 20 : 12);
    const timescale = mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12);
    if (timescale === 0) throw new BoxFault('no timescale');
    if (found.has(id)) throw new BoxFault('a number twice');
    const handler = need(one(mdia, 'hdlr'), 12).toString('latin1', 8, 12);
    found.set(id, { handler, timescale });
  }
  return found;
}

const flagsOf = (box) => box.readUInt32BE(0) & 0xffffff;
const count = (flags, ...bits) => bits.filter((bit) => flags & bit).length;

/** A default duration that is announced is there. */
function checkDefaultDuration(tfhd) {
  const flags = flagsOf(tfhd);
  if (flags & 0x8) need(tfhd, 12 + 8 * count(flags, 0x1) + 4 * count(flags, 0x2));
}

/** Samples of a run, whose durations are in the box if it says so. */
function countSamples(trun) {
  const flags = flagsOf(need(trun, 8));
  const samples = trun.readUInt32BE(4);
  const head = 8 + 4 * count(flags, 0x1, 0x4);
  const stride = 4 * count(flags, 0x100, 0x200, 0x400, 0x800);
  if (flags & 0x100 && samples > 0) need(trun, head + (samples - 1) * stride + 4);
  return samples;
}

function fragmentTracks(moof, known) {
  return all(boxes(moof), 'traf').map((traf) => {
    const parts = boxes(traf.body);
    const tfhd = need(one(parts, 'tfhd'), 8);
    checkDefaultDuration(tfhd);
    const track = known.get(tfhd.readUInt32BE(4));
    if (!track) throw new BoxFault('fragment of no track');
    const tfdt = need(one(parts, 'tfdt'), 8);
    const decodeTime = tfdt[0] === 1 ? need(tfdt, 12).readBigUInt64BE(4) : BigInt(tfdt.readUInt32BE(4));
    const samples = all(parts, 'trun').reduce((sum, trun) => sum + countSamples(trun.body), 0);
    return { track, decodeTime, samples };
  });
}

function takeSegment(bytes) {
  const [ftyp, moov, ...rest] = boxes(bytes);
  if (ftyp?.type !== 'ftyp' || moov?.type !== 'moov' || rest.length === 0 || rest.length % 2 !== 0) throw new BoxFault('other boxes');
  const known = tracks(moov.body);
  let videoSamples = 0;
  let startUs = null;
  rest.forEach((box, position) => {
    if (box.type !== (position % 2 === 0 ? 'moof' : 'mdat')) throw new BoxFault('other boxes');
    if (box.type !== 'moof') return;
    const parts = fragmentTracks(box.body, known);
    for (const part of parts) if (part.track.handler === 'vide') videoSamples += part.samples;
    const leading = parts.find((part) => part.track.handler === 'vide') ?? parts.find((part) => part.track.handler === 'soun');
    if (!leading) throw new BoxFault('neither pictures nor sound');
    if (position > 0) return;
    startUs = (leading.decodeTime * 1000000n) / BigInt(leading.track.timescale);
  });
  return { videoSamples, startUs };
}

/** { videoSamples, startUs (BigInt) }, or null when the content is not such a file. */
export function describeSegment(bytes) {
  try {
    return takeSegment(bytes);
  } catch (fault) {
    if (fault instanceof BoxFault) return null;
    throw fault;
  }
}
