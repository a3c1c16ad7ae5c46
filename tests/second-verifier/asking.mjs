// A verifier asked, and its answer: a verdict or an error, never an exception.
import { parseIdentity } from './age.mjs';
import { judgePath } from './judge.mjs';
import { AskedWrong, readTrust } from './trust.mjs';

/** question: { path, trust (a path), identity (text or null), notes (bytes), acceptSimulated }. */
export function ask({ path, trust, identity, notes, acceptSimulated }) {
  try {
    const opened = identity === null ? null : parseIdentity(identity);
    if (identity !== null && opened === null) throw new AskedWrong('the identity is not an age X25519 secret key');
    return judgePath(path, { trust: readTrust(trust), identity: opened, notes, acceptSimulated });
  } catch (fault) {
    if (fault instanceof AskedWrong) return { error: true, why: fault.message };
    return { error: true, why: `the verifier failed: ${fault?.stack ?? fault}` };
  }
}
