// Answers many questions in one process: one line of JSON in, one line of JSON out, in order.
import { createInterface } from 'node:readline';
import { ask } from './asking.mjs';

/** A question is { path, trust, identity (or null), notes (base64 of each), acceptSimulated }. */
export async function listen(input, print) {
  for await (const line of createInterface({ input })) {
    const question = JSON.parse(line);
    print(JSON.stringify(ask({ ...question, notes: question.notes.map((note) => Buffer.from(note, 'base64')) })));
  }
}
