// Step 1, EPOCH_OVERDUE: keys that were not replaced when they had to be. It needs the policy in force, so it comes after step 5.

/** Finds notices for which no key of their own was begun. */
function judgeBegins(evidence) {
  let recordingBefore = null;
  let isBegun = false; // since the last `boot` and since the notice before
  for (const line of evidence.lines) {
    if (line.type === 'boot') isBegun = false;
    if (line.type === 'epoch' && line.body.reason === 'recording_begin') isBegun = true;
    if (line.type !== 'notice') continue;
    if (line.body.recording !== recordingBefore && !isBegun) evidence.findAtEntry('EPOCH_OVERDUE', line.index);
    recordingBefore = line.body.recording;
    isBegun = false;
  }
}

function judgeEnds(evidence) {
  evidence.lines.forEach((line, position) => {
    const isLate = evidence.lines[position - 1]?.type === 'close' && line.type !== 'epoch' && line.type !== 'boot';
    if (isLate) evidence.findAtEntry('EPOCH_OVERDUE', line.index);
  });
}

function judgeLengths(evidence) {
  let signer = null;
  let signed = 0;
  let isTold = false;
  for (const line of evidence.lines) {
    if (line.signer === null || line.type === 'epoch') continue; // a key that names itself goes on: the signer stays
    if (line.signer !== signer) {
      signer = line.signer;
      signed = 0;
      isTold = false;
    }
    signed += 1;
    const { policy } = evidence.documentsAt(line);
    if (policy && signed > policy.epoch_lines && !isTold) {
      evidence.findAtEntry('EPOCH_OVERDUE', line.index);
      isTold = true;
    }
  }
}

export function judgeEpochs(evidence) {
  judgeBegins(evidence);
  judgeEnds(evidence);
  judgeLengths(evidence);
}
