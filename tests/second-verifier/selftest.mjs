#!/usr/bin/env node
// Tests of the second verifier by itself: known answers, a small good ledger, attacks on it, and garbage.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseIdentity, open } from './age.mjs';
import { ask } from './asking.mjs';
import { encodeBech32 } from './bech32.mjs';
import { sha256 } from './bytes.mjs';
import { GROUP_ORDER, add, decodePoint, encodePoint, isValidKey, smallOrderEncodings, verifySignature } from './ed25519.mjs';
import { parseStrict } from './json.mjs';
import { RootHistory, leafHash, pathLeadsTo } from './merkle.mjs';
import { certificate, jws, note, seal, signer } from './selftest-crypto.mjs';
import { AGENCY, DEVICE, IDENTITY, ORIGIN, RECORDING, START_US, auditPath, keys, makeExtract, makeSample, trustFile } from './selftest-sample.mjs';
import { layOut } from './vectors.mjs';

/** The example of the age specification. */
const OTHER_IDENTITY = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX';

const tests = [];
const test = (name, body) => tests.push([name, body]);

function judge(files, { path = DEVICE, identity = IDENTITY.text, notes = [], acceptSimulated = false } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'selftest-'));
  try {
    layOut([...files].map(([name, what]) => [name, Buffer.isBuffer(what) ? { base64: what.toString('base64') } : what]), root);
    return ask({ path: join(root, path), trust: join(root, 'trust.json'), identity, notes, acceptSimulated });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Findings as `CODE place`, with objects under short names. */
const found = (answer) => {
  assert.equal(answer.error, undefined, answer.why);
  return answer.findings.map(({ code, where }) => `${code} ${where.replace(/[0-9a-f]{64}/, '…')}`).sort();
};
const expect = (name, change, expected, question) => test(name, () => assert.deepEqual(found(judge(makeSample(change).files, question)), expected));

// Known answers.
test('strict JSON', () => {
  const parse = (text) => parseStrict(Buffer.from(text));
  assert.equal(parse(' [9007199254740991, -9007199254740991, 0] ').length, 3);
  assert.equal(parse('"\\ud83d\\ude00"'), '😀');
  assert.equal(Object.keys(parse('{"__proto__":{"a":1}}')).length, 1);
  assert.notEqual(parse('['.repeat(16) + ']'.repeat(16)), undefined);
  const refused = [
    '', '{', '1.0', '1e3', '-0', '01', '9007199254740992', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '"\\ud800"', '"\\udc00\\ud800"', '\ufeff1',
    '[1,]', '{"a":1,}', '"\t"', 'nul', 'NaN', "'a'", '1 2', '\u00a01', `${'['.repeat(17)}${']'.repeat(17)}`, '+1', '"\\x"', '[1 2]',
  ];
  for (const text of refused) assert.equal(parse(text), undefined, text);
  assert.equal(parseStrict(Buffer.from([0x22, 0xff, 0x22])), undefined);
  assert.equal(parseStrict(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), undefined);
});

test('Ed25519 of RFC 8032', () => {
  const hex = (text) => Buffer.from(text, 'hex');
  const cases = [
    ['d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'],
    ['3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'],
  ];
  for (const [key, message, signature] of cases) {
    assert.ok(verifySignature(hex(key), hex(message), hex(signature)));
    assert.ok(!verifySignature(hex(key), hex(`${message}00`), hex(signature)));
    const high = hex(signature);
    let s = GROUP_ORDER;
    for (let i = 63; i >= 32; i -= 1) s += BigInt(high[i]) << BigInt(8 * (i - 32));
    for (let i = 32; i < 64; i += 1, s >>= 8n) high[i] = Number(s & 255n);
    assert.ok(!verifySignature(hex(key), hex(message), high), 'S at or above the order');
  }
});

test('Ed25519 keys of small and mixed order, and R of small order', () => {
  const small = [...smallOrderEncodings()];
  assert.equal(small.length, 8);
  assert.ok(small.includes(`01${'00'.repeat(31)}`) && small.includes(`ec${'ff'.repeat(30)}7f`) && small.includes('00'.repeat(32)));
  for (const encoding of small) assert.ok(!isValidKey(Buffer.from(encoding, 'hex')));
  const key = signer('any').bytes;
  assert.ok(isValidKey(key));
  const torsion = decodePoint(Buffer.from(small.find((encoding) => encoding.startsWith('c7') || encoding.startsWith('26')), 'hex'));
  assert.ok(!isValidKey(encodePoint(add(decodePoint(key), torsion))), 'mixed order');
  for (const text of [`ee${'ff'.repeat(30)}7f`, `01${'00'.repeat(30)}80`, 'ff'.repeat(32), '02'.padEnd(64, '0')]) assert.ok(!isValidKey(Buffer.from(text, 'hex')), text);
  // Under a key of small order everything would verify: identity for R, zero for S.
  const forged = Buffer.concat([Buffer.from('01'.padEnd(64, '0'), 'hex'), Buffer.alloc(32)]);
  assert.ok(!verifySignature(Buffer.from('01'.padEnd(64, '0'), 'hex'), Buffer.from('x'), forged));
  assert.ok(!verifySignature(key, Buffer.from('x'), forged));
});

test('RFC 6962 roots and paths', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => Buffer.from(hex, 'hex'));
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125', 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7', '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef', 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ];
  const tree = new RootHistory();
  for (const leaf of leaves) tree.append(leaf);
  roots.forEach((root, size) => assert.equal(tree.rootAt(size).toString('hex'), root));
  const hashes = leaves.map(leafHash);
  for (let size = 1; size <= 8; size += 1) {
    for (let index = 0; index < size; index += 1) {
      const path = auditPath(index, hashes.slice(0, size));
      assert.ok(pathLeadsTo(tree.rootAt(size), hashes[index], index, size, path));
      assert.ok(!pathLeadsTo(tree.rootAt(size), hashes[index], index, size, [...path, sha256()]));
      if (size > 1) assert.ok(!pathLeadsTo(tree.rootAt(size), hashes[index], (index + 1) % size, size, path));
      if (path.length > 0) assert.ok(!pathLeadsTo(tree.rootAt(size), hashes[index], index, size, path.slice(1)));
    }
  }
});

test('age, over the edges of chunks', () => {
  // Identity and recipient of the age specification's own example.
  assert.equal(encodeBech32('age', parseIdentity(OTHER_IDENTITY).recipient), 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj');
  const identity = parseIdentity(IDENTITY.text);
  for (const length of [0, 1, 65535, 65536, 65537, 131072]) {
    const content = Buffer.alloc(length, 7);
    const file = seal(content, [signer('x').bytes, IDENTITY.recipient], `chunks ${length}`);
    assert.ok(open(file, identity).equals(content));
    assert.equal(open(file.subarray(0, -1), identity), null);
    assert.equal(open(Buffer.concat([file, Buffer.alloc(16)]), identity), null);
  }
  assert.equal(parseIdentity(`${IDENTITY.text.slice(0, -1)}Q`), null);
});

// The sample and attacks on it.
const change = (type, edit) => ({ lines: (lines) => lines.map(([name, body]) => [name, name === type ? { ...body, ...edit } : body]) });
const insert = (at, ...more) => ({ lines: (lines) => [...lines.slice(0, at), ...more, ...lines.slice(at)] });
const timed = (at, edit) => ({ payload: (payload, seq) => (seq === at ? { ...payload, time: { ...payload.time, ...edit } } : payload) });
const ledgerOf = (edit) => ({ files: (files, sample) => files.set(`${DEVICE}/ledger.jws`, Buffer.from(edit(sample.raws.map(String)).join('')))});
const whole = (raws) => raws.map((raw) => `${raw}\n`);

test('a good ledger: every axis ok', () => {
  const answer = judge(makeSample().files);
  assert.deepEqual(found(answer), []);
  assert.deepEqual(new Set(Object.values(answer.axes)), new Set(['ok']));
  assert.deepEqual(Object.entries(answer.rules).filter(([, verdict]) => verdict !== 'ok'), [['R17', 'unknown'], ['R18', 'unknown']]);
  assert.equal(judge(makeSample().files, { identity: null }).rules.R10, 'unknown');
});
test('a good archive, a good extract', () => {
  assert.deepEqual(found(judge(makeSample().files, { path: '.' })), []);
  const answer = judge(makeExtract(), { path: 'out' });
  assert.deepEqual(found(answer), []);
  assert.equal(answer.axes.integrity, 'ok');
});

expect('a line cut off the end', ledgerOf((raws) => whole(raws.slice(0, -1))), ['LEDGER_CUT checkpoint', 'LEDGER_CUT cosigned']);
expect('a torn tail', ledgerOf((raws) => [...whole(raws), 'torn']), ['TORN_TAIL entry 15']);
expect('a line removed', ledgerOf((raws) => whole(raws.filter((_, i) => i !== 7))), ['LINE_OUT_OF_PLACE entry 7']);
expect('two lines exchanged', ledgerOf((raws) => whole([...raws.slice(0, 8), raws[9], raws[8], ...raws.slice(10)])), ['LINE_OUT_OF_PLACE entry 8']);
expect('a signature changed', ledgerOf((raws) => whole(raws.map((raw, i) => (i === 14 ? `${raw.slice(0, -6)}AAAA${raw.slice(-2)}` : raw)))), ['SIGNATURE_INVALID entry 14']);
expect('an empty ledger', ledgerOf(() => []), [
  'LEDGER_CUT checkpoint', 'LEDGER_CUT cosigned', 'LEDGER_UNREADABLE ledger',
  ...new Array(4).fill('OBJECT_UNLISTED file ….age'), ...new Array(2).fill('OBJECT_UNLISTED file ….jws'),
]);
expect('alg none', { header: (at) => (at === 14 ? { alg: 'none' } : {}) }, ['ALGORITHM_REFUSED entry 14']);
expect('a header field more', { header: (at) => (at === 14 ? { crit: [] } : {}) }, ['LINE_MALFORMED entry 14']);
expect('a key used after its span', { signerOf: (at, key) => (at === 14 ? keys['epoch-1'] : key) }, ['KEY_OUT_OF_SPAN entry 14']);
expect('an unknown type', insert(14, ['secret', {}]), ['TYPE_UNKNOWN entry 14']);
expect('a field missing', change('heartbeat', { state: undefined }), ['LINE_MALFORMED entry 14']);
expect('a text too long', change('heartbeat', { state: '😀'.repeat(501) }), ['LINE_MALFORMED entry 14']);
expect('a text just short enough', change('heartbeat', { state: '😀'.repeat(500) }), []);
expect('a next key of small order', insert(14, ['epoch', { key: Buffer.alloc(32).toString('base64url'), reason: 'lines' }]), ['SIGNATURE_INVALID entry 14']);
expect('a TLS certificate', { identityCertificate: { subject: { o: AGENCY, ou: 'tls', cn: DEVICE } } }, ['CERTIFICATE entry 0']);
expect("another root's certificate", { identityCertificate: { issuerKey: signer('other root') } }, ['CERTIFICATE entry 0']);
expect('a certificate that ended', { identityCertificate: { to: '260101000000Z' } }, ['CERTIFICATE_EXPIRED entry 0']);
expect('a certificate revoked before', { revoked: [[7, '260101000000Z']] }, ['CERTIFICATE_REVOKED entry 0']);
expect('a certificate revoked long after', { revoked: [[7, '330101000000Z']] }, []);
expect('a second genesis', { lines: (lines) => [...lines, lines[1]] }, ['LINE_OUT_OF_PLACE entry 15']);
expect('no key begun for a recording', { lines: (lines) => lines.map(([type, body], i) => [type, i === 4 ? { ...body, reason: 'lines' } : body]) }, ['EPOCH_OVERDUE entry 5']);
expect('no key ended after a recording', { lines: (lines) => lines.filter((_, i) => i !== 13) }, ['EPOCH_OVERDUE entry 13']);
expect('a key for too many lines', insert(14, ...new Array(21).fill(['heartbeat', { state: 'idle' }])), ['EPOCH_OVERDUE entry 34']);
expect('no notes', { files: (files) => files.delete(`${DEVICE}/cosigned`) }, []);
test('no notes: completeness unknown', () => {
  const sample = makeSample({ files: (files) => files.delete(`${DEVICE}/cosigned`) });
  assert.equal(judge(sample.files).axes.completeness, 'unknown');
});
test('a false cosignature, another root, another origin', () => {
  const with_ = (bytes) => found(judge(makeSample().files, { notes: [bytes] }));
  const { tree, witness } = makeSample();
  assert.deepEqual(with_(note(ORIGIN, 9, tree.rootAt(9), null, [witness])), []);
  assert.deepEqual(with_(note(ORIGIN, 9, tree.rootAt(8), null, [witness])), ['HISTORY_FORKED note 0']);
  assert.deepEqual(with_(note(ORIGIN, 99, tree.rootAt(8), null, [witness])), ['LEDGER_CUT note 0']);
  assert.deepEqual(with_(note(`${ORIGIN}x`, 9, tree.rootAt(9), null, [witness])), ['CHECKPOINT_INVALID note 0']);
  const false_ = note(ORIGIN, 9, tree.rootAt(9), null, [{ ...witness, key: { ...keys.dock, sign: () => Buffer.alloc(64, 1) } }]);
  assert.deepEqual(with_(false_), ['CHECKPOINT_INVALID note 0']);
});
test('a witnessed entry', () => {
  const { witness, tree } = makeSample();
  const entry = (root, seconds) => insert(14, ['witnessed', { note: String(note(ORIGIN, 0, root, null, [{ ...witness, seconds }])) }]);
  const early = START_US / 1000000;
  assert.deepEqual(found(judge(makeSample(entry(tree.rootAt(0), early)).files)), []);
  assert.deepEqual(found(judge(makeSample(entry(tree.rootAt(0), early + 300)).files)), ['TIME_BEFORE_WITNESS entry 15']);
  assert.deepEqual(found(judge(makeSample(entry(tree.rootAt(1), early)).files)), ['HISTORY_FORKED entry 14']);
});
test('receipts and releases', () => {
  const handed = (edit, removed) => makeSample({
    lines: (lines, put) => {
      const objects = lines.filter(([, body]) => body.object).map(([, body]) => body.object);
      const payload = {
        v: 1, type: 'receipt', dock: 'dock-sample-01', device: DEVICE, objects, ledger_size: 0, ledger_root: sha256().toString('hex'), issued_us: START_US,
      };
      const receipt = put('jws', jws('er-receipt+jws', { ...payload, ...edit }, keys.receipts));
      const released = objects.filter(({ form }) => form === 'age').map(({ digest }) => digest);
      return [
        ...lines, ['receipt', { dock: 'dock-sample-01', object: receipt, ledger_size: 0 }], ['released', { receipt: receipt.digest, objects: released, bytes: 1 }],
      ];
    },
    files: (files) => removed && files.delete(sealedName('segment 1')(files)),
  }).files;
  assert.deepEqual(found(judge(handed({}, true))), []);
  assert.deepEqual(found(judge(handed({}, true), { path: '.' })), ['OBJECT_MISSING object …'], 'an archive keeps what a device may drop');
  assert.deepEqual(found(judge(handed({ objects: [] }))), ['RELEASED_UNCOVERED entry 16']);
  assert.deepEqual(found(judge(handed({ device: 'another' }))), ['RECEIPT_INVALID entry 15', 'RELEASED_UNCOVERED entry 16']);
  assert.deepEqual(found(judge(handed({ ledger_size: 15 }))), ['RECEIPT_INVALID entry 15', 'RELEASED_UNCOVERED entry 16'], 'not the size entered');
  assert.deepEqual(found(judge(handed({ ledger_root: 'f'.repeat(64) }))), ['HISTORY_FORKED entry 15', 'RELEASED_UNCOVERED entry 16']);
});
expect('an entry long after its witness', timed(14, { utc_us: START_US + 500000000, mono_us: 500000000 }), ['TIME_AFTER_WITNESS entry 14']);
expect('the clock stepped', timed(14, { utc_us: START_US + 20000000 }), ['CLOCK_STEP_HIDDEN entry 14']);
expect('a file more, and pieces being written', {
  files: (files) => ['a.open', 'b.sealed', '.c', 'd.age'].forEach((name) => files.set(`${DEVICE}/objects/${name}`, Buffer.from('x'))),
}, ['OBJECT_UNLISTED file d.age']);

const objectsOf = (form) => (files) => [...files.keys()].filter((name) => name.endsWith(`.${form}`));
const sealedName = (name) => (files) => {
  // The sample is deterministic, so an object is known by what it was when made alone.
  const ref = makeSample().raws.map((raw) => JSON.parse(Buffer.from(String(raw).split('.')[1], 'base64url')).body).find((body) => body.object && `segment ${body.index}` === name).object;
  return [...files.keys()].find((path) => path.includes(ref.digest));
};
expect('one segment removed', { files: (files) => files.delete(sealedName('segment 1')(files)) }, ['OBJECT_MISSING object …']);
expect('all objects of a recording removed', { files: (files) => objectsOf('age')(files).forEach((name) => files.delete(name)) }, [`RECORDING_REMOVED recording ${RECORDING}`]);
expect('a segment as a symbolic link', {
  files: (files) => {
    const path = sealedName('segment 1')(files);
    files.set('elsewhere', files.get(path));
    files.set(path, { link: '../../elsewhere' });
  },
}, ['OBJECT_MISSING object …']);
expect('a segment altered', { files: (files) => files.set(sealedName('segment 1')(files), Buffer.from('other')) }, ['OBJECT_ALTERED object …']);
expect('a segment of other content', { content: (name, content) => (name === 'segment 1' ? Buffer.concat([content, Buffer.alloc(8)]) : content) }, ['CONTENT_MISMATCH object …']);
expect('another identity', {}, new Array(4).fill('CONTENT_UNREADABLE object …'), { identity: OTHER_IDENTITY });
expect('a policy of another version', change('adopted', { version: 9 }), ['DOCUMENT_INVALID entry 2', 'DOCUMENT_INVALID entry 3']);
expect('simulated hardware', change('boot', { hardware: { camera: 'simulated' } }), ['SIMULATED_HARDWARE entry 0']);
expect('simulated hardware accepted', change('boot', { hardware: { camera: 'simulated' } }), [], { acceptSimulated: true });
expect('counts that differ', change('close', { segments: 3 }), [`COUNT_MISMATCH recording ${RECORDING}`]);
expect('frames too few', change('close', { duration_us: 9000000 }), ['GAP_HIDDEN entry 12']);
expect('a gap entered', insert(10, ['gap', { recording: RECORDING, cause: 'camera', missing_us: null, dropped: 0 }]), ['GAP entry 10', `MANDATORY_INTERRUPTED recording ${RECORDING}`]);
expect('an entry of no recording', insert(14, ['mark', { recording: '0'.repeat(16), kind: 'moment', at_us: 0 }]), ['ORPHAN_ENTRY entry 14']);
expect('no sign', change('mark', { kind: 'moment' }), [`SITE_NOT_IDENTIFIED recording ${RECORDING}`]);
expect('a notice not heard', change('notice', { heard: { state: 'not_heard', correlation_milli: 0, level_centi_dbfs: 0 } }), ['NOTICE_NOT_SERVED entry 5']);
expect('another sound', change('notice', { asset: null }), ['NOTICE_OTHER_SOUND entry 5']);
expect('footage before the notice ended', change('notice', { ended_us: 6500001 }), [`FRAME_BEFORE_NOTICE recording ${RECORDING}`]);
expect('another matter', change('open', { matter: 'm-2' }), ['PARTICULARS_DIFFER entry 6']);
expect('recipients other than the policy says', change('open', { recipients: [IDENTITY.name] }), [...new Array(4).fill('NOT_SEALED object …'), 'RECIPIENTS_DIFFER entry 6']);
test('a hazard entered under way', () => {
  const hazard = ['hazard', { state: 'set', inputs: [] }];
  assert.deepEqual(found(judge(makeSample(insert(9, hazard)).files)), []);
  assert.deepEqual(found(judge(makeSample(insert(7, hazard)).files)), ['RECORDED_UNDER_HAZARD entry 7']);
});

// Extracts.
const extracts = (name, expected, how, indices) => test(name, () => assert.deepEqual(found(judge(makeExtract(how, indices), { path: 'out' })), expected));
extracts('an extract without its boot', ['EXTRACT_INCOMPLETE extract'], {}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
extracts('an extract with a hole', ['EXTRACT_INCOMPLETE extract', `SITE_NOT_IDENTIFIED recording ${RECORDING}`], {}, [0, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]);
extracts('an extract cut short', ['EXTRACT_INCOMPLETE extract', `MANDATORY_INTERRUPTED recording ${RECORDING}`, `RECORDING_UNFINISHED recording ${RECORDING}`], {}, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
extracts('an extract too long', ['EXTRACT_INCOMPLETE extract'], {}, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
extracts('a false proof', ['PROOF_INVALID entry 5'], {
  files: (files) => files.set('out/proofs', Buffer.from(String(files.get('out/proofs')).replace(/^5 ..../m, '5 AAAA'))),
});
extracts('a row too few', ['EXTRACT_MALFORMED extract'], { files: (files) => files.set('out/proofs', Buffer.from(String(files.get('out/proofs')).replace(/^13 .*\n/m, ''))) });
extracts('no note', ['EXTRACT_MALFORMED extract'], { files: (files) => files.delete('out/cosigned') });

// Archives.
test('a device that lies twice in an archive is one device; a note of it', () => {
  const { files, cosigned } = makeSample();
  for (const [path, bytes] of [...files]) files.set(path.replace(DEVICE, 'second'), bytes);
  assert.deepEqual(found(judge(files, { path: '.', notes: [cosigned] })), []);
});

// What was asked wrongly, and garbage.
test('errors, not verdicts', () => {
  const { files } = makeSample();
  assert.ok(judge(files, { path: 'nowhere' }).error);
  assert.ok(judge(files, { identity: 'AGE-SECRET-KEY-1' }).error);
  assert.ok(judge(new Map([...files, ['trust.json', Buffer.from('{}')]])).error);
  assert.ok(judge(new Map([['trust.json', trustFile()]]), { path: '.' }).error);
});
test('a revocation list that cannot be used', () => {
  const { files } = makeSample();
  const trust = JSON.parse(files.get('trust.json'));
  files.set('trust.json', Buffer.from(JSON.stringify({ ...trust, crl: 'none' })));
  assert.deepEqual(found(judge(files)), ['REVOCATION_LIST trust']);
});
test('garbage never ends in an exception', () => {
  let state = 1;
  const random = (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
  const good = { device: makeSample().files, extract: makeExtract() };
  for (let round = 0; round < 60; round += 1) {
    const [kind, path] = round % 2 ? ['device', DEVICE] : ['extract', 'out'];
    const files = new Map(good[kind]);
    const names = [...files.keys()];
    const name = names[random(names.length)];
    const bytes = Buffer.from(files.get(name));
    for (let i = 0; i < 3; i += 1) bytes[random(bytes.length)] = random(256);
    files.set(name, random(4) ? bytes : bytes.subarray(0, random(bytes.length)));
    const answer = judge(files, { path });
    assert.ok(!answer.error || !answer.why.startsWith('the verifier failed'), `${name}: ${answer.why}`);
    assert.ok(answer.error || answer.findings.length > 0 || name.endsWith('trust.json') || kind === 'extract' || name.endsWith('cosigned') || name.endsWith('checkpoint'), name);
  }
  // A certificate cut or changed anywhere is refused or read, nothing else.
  const der = certificate({ subject: { o: AGENCY, ou: 'identity', cn: DEVICE }, key: keys.identity, issuerKey: keys.root, serial: 7 });
  for (let round = 0; round < 20; round += 1) {
    const bytes = Buffer.from(der);
    bytes[random(bytes.length)] ^= 1 + random(255);
    const answer = judge(makeSample(change('boot', { certificate: bytes.toString('base64url') })).files);
    assert.ok(found(answer).includes('CERTIFICATE entry 0'), JSON.stringify(answer));
  }
});

let failed = 0;
for (const [name, body] of tests) {
  try {
    body();
  } catch (fault) {
    failed += 1;
    process.stdout.write(`FAILED ${name}\n${fault.stack}\n`);
  }
}
process.stdout.write(`${tests.length - failed} of ${tests.length} passed\n`);
process.exitCode = failed ? 1 : 0;
