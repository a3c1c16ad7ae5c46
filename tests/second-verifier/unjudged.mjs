// Step 10: what could not be judged.
import { AXES } from './findings.mjs';

export function tellUnjudged(evidence) {
  const { report } = evidence;
  const isWitnessed = evidence.witnessedNotes.length > 0;
  // Nothing is ok of which nothing was seen.
  if (evidence.broken || evidence.unreadable || evidence.lines.length === 0) report.cannotJudge(...AXES);
  if (!isWitnessed) report.cannotJudge('completeness');
  if (!isWitnessed && evidence.isExtract) report.cannotJudge('integrity', 'provenance');
  if (evidence.lines.some((line) => line.time.source === 'none' && line.index >= evidence.witnessedSize)) report.cannotJudge('time');
  if (evidence.asked.identity === null && evidence.recordings.length > 0) report.cannotJudge('R10', 'R13.2', 'R13.3');
  report.cannotJudge('R17', 'R18');
}
