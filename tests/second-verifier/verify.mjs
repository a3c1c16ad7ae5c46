#!/usr/bin/env node
// Command line of the second verifier.
import { readFileSync } from 'node:fs';
import { ask } from './asking.mjs';
import { listen } from './listen.mjs';
import { runVectors } from './vectors.mjs';

const USAGE = 'usage: verify.mjs PATH --trust FILE [--identity AGE-SECRET-KEY-...] [--note FILE]... [--accept-simulated]'
  + ' | verify.mjs --vectors DIR [NAME...] | verify.mjs --listen';

class Misuse extends Error {}

function parseArguments(args) {
  const asked = { paths: [], trust: null, identity: null, noteFiles: [], acceptSimulated: false, vectors: null };
  const rest = [...args];
  const valueOf = (option) => {
    if (rest.length === 0) throw new Misuse(`${option} needs a value`);
    return rest.shift();
  };
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg === '--trust') asked.trust = valueOf(arg);
    else if (arg === '--identity') asked.identity = valueOf(arg);
    else if (arg === '--note') asked.noteFiles.push(valueOf(arg));
    else if (arg === '--accept-simulated') asked.acceptSimulated = true;
    else if (arg === '--vectors') asked.vectors = valueOf(arg);
    else if (arg.startsWith('--')) throw new Misuse(`unknown option ${arg}`);
    else asked.paths.push(arg);
  }
  if (asked.vectors === null && (asked.paths.length !== 1 || asked.trust === null)) throw new Misuse(USAGE);
  return asked;
}

function exitCode(answer) {
  if (answer.error) return 3;
  if (answer.findings.length > 0) return 1;
  return Object.values(answer.axes).includes('unknown') ? 2 : 0;
}

function main(args) {
  const print = (text) => process.stdout.write(`${text}\n`);
  try {
    const asked = parseArguments(args);
    if (asked.vectors !== null) return runVectors(asked.vectors, asked.paths, print) ? 0 : 1;
    const notes = asked.noteFiles.map((file) => readFileSync(file));
    const { trust, identity, acceptSimulated } = asked;
    const answer = ask({ path: asked.paths[0], trust, identity, notes, acceptSimulated });
    print(JSON.stringify(answer));
    return exitCode(answer);
  } catch (fault) {
    print(JSON.stringify({ error: true, why: fault.message }));
    return 3;
  }
}

if (process.argv[2] === '--listen') await listen(process.stdin, (text) => process.stdout.write(`${text}\n`));
else process.exitCode = main(process.argv.slice(2));
