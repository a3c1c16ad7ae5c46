// RFC 6962 Merkle tree.
import { sha256 } from './bytes.mjs';

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);
export const LONGEST_PATH = 63;

export const leafHash = (line) => sha256(LEAF, line);
export const nodeHash = (left, right) => sha256(NODE, left, right);

/** Roots of a growing tree at every size, kept because notes and receipts ask for old sizes. */
export class RootHistory {
  constructor() {
    this.roots = [sha256(Buffer.alloc(0))];
    this.whole = []; // whole subtrees, largest first: { hash, size }
  }

  append(line) {
    let tip = { hash: leafHash(line), size: 1 };
    while (this.whole.at(-1)?.size === tip.size) {
      const left = this.whole.pop();
      tip = { hash: nodeHash(left.hash, tip.hash), size: tip.size * 2 };
    }
    this.whole.push(tip);
    this.roots.push(this.whole.slice(0, -1).reduceRight((right, left) => nodeHash(left.hash, right), tip.hash));
  }

  rootAt(size) {
    return this.roots[size];
  }
}

/** Whether the audit path of a leaf leads to the root of a tree of that size (integers above 2^32, hence BigInt). */
export function pathLeadsTo(root, leaf, index, size, path) {
  let position = BigInt(index);
  let last = BigInt(size) - 1n;
  if (position > last || path.length > LONGEST_PATH) return false;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0n) return false;
    if ((position & 1n) === 1n || position === last) {
      hash = nodeHash(sibling, hash);
      // At the right edge a lone subtree rises until it is somebody's right child.
      while ((position & 1n) === 0n && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  return last === 0n && hash.equals(root);
}
