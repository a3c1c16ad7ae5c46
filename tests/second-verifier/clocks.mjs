// Step 8: clocks.

const STEP_US = 1500000;
const WITNESS_US = 120000000;

function judgePair(before, line) {
  const wall = line.time.utc_us - before.time.utc_us;
  if (before.time.boot !== line.time.boot) {
    const isKnown = before.time.source !== 'none' && line.time.source !== 'none';
    return isKnown && wall < -STEP_US ? 'CLOCK_BEHIND' : null;
  }
  if (line.type === 'clock' && Math.abs(line.body.step_us) > STEP_US) return 'CLOCK_STEPPED';
  const monotonic = line.time.mono_us - before.time.mono_us;
  return monotonic < 0 || Math.abs(wall - monotonic) > STEP_US ? 'CLOCK_STEP_HIDDEN' : null;
}

function judgeBeforeWitness(evidence) {
  let latest = -Infinity;
  let isTold = false; // since the last `boot`
  for (const line of evidence.lines) {
    if (line.type === 'boot') isTold = false;
    if (!isTold && line.time.utc_us < latest - WITNESS_US) {
      evidence.findAtEntry('TIME_BEFORE_WITNESS', line.index);
      isTold = true;
    }
    latest = Math.max(latest, evidence.witnessTimes.get(line.index) ?? -Infinity);
  }
}

function judgeAfterWitness(evidence) {
  const largest = evidence.witnessedSize;
  const time = Math.min(...evidence.witnessedNotes.filter(({ size }) => size === largest).map((note) => note.time));
  const late = evidence.lines.find((line) => line.index < largest && line.time.utc_us > time + WITNESS_US);
  if (late) evidence.findAtEntry('TIME_AFTER_WITNESS', late.index);
}

export function judgeClocks(evidence) {
  const { lines } = evidence;
  for (let i = 1; i < lines.length; i += 1) {
    // In an extract lines may be missing between two that stand together.
    const code = lines[i].index === lines[i - 1].index + 1 ? judgePair(lines[i - 1], lines[i]) : null;
    if (code) evidence.findAtEntry(code, lines[i].index);
  }
  judgeBeforeWitness(evidence);
  judgeAfterWitness(evidence);
}
