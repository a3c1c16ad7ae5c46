// Runs over a folder of test vectors: lays the files of each out, judges them, compares.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ask } from './asking.mjs';

const readVector = (folder, name) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));

/** Paths with what lies there: those of the base less the removed ones, then the vector's own. */
function filesOf(vector, folder) {
  const files = new Map(Object.entries(vector.base === null ? {} : readVector(folder, vector.base).files));
  for (const removed of vector.removed ?? []) {
    for (const path of [...files.keys()]) {
      if (path === removed || (removed.endsWith('/') && path.startsWith(removed))) files.delete(path);
    }
  }
  for (const [path, what] of Object.entries(vector.files)) files.set(path, what);
  return files;
}

export function layOut(files, root) {
  for (const [path, what] of files) {
    const target = resolve(root, path);
    if (!target.startsWith(root + sep)) throw new Error(`a path outside: ${path}`);
    mkdirSync(dirname(target), { recursive: true });
    if ('folder' in what) mkdirSync(target, { recursive: true });
    else if ('link' in what) symlinkSync(what.link, target);
    else writeFileSync(target, 'text' in what ? what.text : Buffer.from(what.base64, 'base64'));
  }
}

function run(vector, folder) {
  const root = mkdtempSync(join(tmpdir(), 'vector-'));
  try {
    layOut(filesOf(vector, folder), root);
    const { identity, notes, accept_simulated: acceptSimulated } = vector.options;
    return ask({
      path: join(root, vector.path),
      trust: join(root, 'trust.json'),
      identity: identity ?? null,
      notes: (notes ?? []).map((note) => Buffer.from(note)),
      acceptSimulated: Boolean(acceptSimulated),
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function agrees(got, expected) {
  if (expected.error || got.error) return Boolean(expected.error) === Boolean(got.error);
  return isDeepStrictEqual(got, { axes: expected.axes, rules: expected.rules, findings: expected.findings });
}

function judgeVector(folder, name) {
  try {
    const vector = readVector(folder, name);
    const got = run(vector, folder);
    return { name, ok: agrees(got, vector.expected), got, expected: vector.expected };
  } catch (fault) {
    return { name, ok: false, why: String(fault) };
  }
}

/** Prints a line for each vector; whether all agree. */
export function runVectors(folder, names, print) {
  const all = readdirSync(folder).filter((file) => file.endsWith('.json')).sort().map((file) => file.slice(0, -'.json'.length));
  let allAgree = true;
  for (const name of names.length > 0 ? names : all) {
    const outcome = judgeVector(folder, name);
    allAgree &&= outcome.ok;
    print(JSON.stringify(outcome));
  }
  return allAgree;
}
