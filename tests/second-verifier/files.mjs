// Files of the evidence. A symbolic link is never followed; what is not a regular file is not there.
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from './bytes.mjs';

function stat(path) {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

export const exists = (path) => stat(path) !== null;
export const isFolder = (path) => stat(path)?.isDirectory() ?? false;

/** Bytes of a regular file, or null. */
export function readRegular(path) {
  if (!stat(path)?.isFile()) return null;
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** Names in a folder that is no symbolic link, in the order of their bytes. */
export function namesIn(path) {
  if (!isFolder(path)) return [];
  try {
    return readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare).map((name) => name.toString('utf8'));
  } catch {
    return [];
  }
}

export const nameOf = (ref) => `${ref.digest}.${ref.form}`;

/** The folder `objects`: each file is read when asked for, and its digest is made once. */
export class ObjectStore {
  constructor(deviceFolder) {
    this.folder = join(deviceFolder, 'objects');
    this.known = new Map();
  }

  names() {
    return namesIn(this.folder);
  }

  read(name) {
    return isFolder(this.folder) ? readRegular(join(this.folder, name)) : null;
  }

  /** { there, size, digest } */
  status(name) {
    if (!this.known.has(name)) {
      const bytes = this.read(name);
      this.known.set(name, bytes === null ? { there: false } : { there: true, size: bytes.length, digest: sha256Hex(bytes) });
    }
    return this.known.get(name);
  }

  /** Bytes of the object that a reference names, if it is there with that size and digest. */
  readAs(ref) {
    const { there, size, digest } = this.status(nameOf(ref));
    return there && size === ref.size && digest === ref.digest ? this.read(nameOf(ref)) : null;
  }
}
