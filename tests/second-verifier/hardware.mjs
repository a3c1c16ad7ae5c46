// Step 6: certificates in time, revocation, simulated hardware.

/** Times at which a witness saw the line: of notes and of receipts over more lines than its number. */
function timesSeen(evidence, line) {
  const witnesses = [...evidence.witnessedNotes, ...evidence.enteredNotes, ...evidence.receipts.values()];
  return witnesses.filter(({ size }) => size > line.index).map(({ time }) => time);
}

function judgeBoot(evidence, line) {
  const { certificate } = line;
  const seen = timesSeen(evidence, line);
  const own = line.time.utc_us;
  const time = seen.length > 0 ? Math.min(...seen) : own;
  const isOutside = (moment) => moment < certificate.notBefore || moment > certificate.notAfter;
  if (isOutside(own) || isOutside(time)) evidence.findAtEntry('CERTIFICATE_EXPIRED', line.index);
  const revokedAt = evidence.trust.revoked.get(certificate.serial);
  if (revokedAt !== undefined && !seen.some((moment) => moment < revokedAt)) evidence.findAtEntry('CERTIFICATE_REVOKED', line.index);
}

export function judgeHardware(evidence) {
  if (!evidence.trust.isListUsable) evidence.find('REVOCATION_LIST', 'trust');
  const boots = evidence.lines.filter(({ type }) => type === 'boot');
  for (const line of boots) judgeBoot(evidence, line);
  const simulated = boots.find(({ body }) => Object.values(body.hardware).includes('simulated'));
  if (simulated && !evidence.asked.acceptSimulated) evidence.findAtEntry('SIMULATED_HARDWARE', simulated.index);
}
