// Step 5: profiles and policies, and which of them is in force at each line.
import { Policy, Profile } from './document-shapes.mjs';
import { openDocument } from './jws.mjs';

function openAdopted(evidence, line, bytes) {
  const { trust, device } = evidence;
  const { document: kind, version } = line.body;
  const document = openDocument(bytes, `er-${kind}+jws`, kind === 'profile' ? Profile : Policy, trust.documentKeys);
  if (document === null || document.agency !== trust.agency || document.version !== version) return null;
  return kind === 'profile' && document.device !== device ? null : document;
}

export function judgeDocuments(evidence) {
  const current = { profile: null, policy: null };
  for (const line of evidence.lines) {
    // In force at a line is what was adopted before it.
    evidence.inForce.set(line.index, { ...current });
    if (line.type !== 'adopted') continue;
    const bytes = evidence.objects.readAs(line.body.object);
    if (bytes === null) continue; // step 4 speaks of that
    const kind = line.body.document;
    const document = openAdopted(evidence, line, bytes);
    if (document === null) {
      evidence.findAtEntry('DOCUMENT_INVALID', line.index);
      continue;
    }
    if (current[kind] && document.version < current[kind].version) evidence.findAtEntry('DOCUMENT_ROLLED_BACK', line.index);
    current[kind] = document;
  }
}
