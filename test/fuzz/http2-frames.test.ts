import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Answer, type Conversation, PythonH2 } from '../helpers/python-h2.ts';
import { seeded } from '../helpers/seeded-random.ts';
import { makeInput, type Run, run, runPieces, splitDifference, verdictOf } from './http2-conversation.ts';
import { Pair, receivedProblem } from './http2-pair.ts';

/** More for a long run: `HIPACHE_FUZZ_INPUTS=500000`. The seed of a failure repeats it with one input. */
const inputsWanted = Number(process.env['HIPACHE_FUZZ_INPUTS'] ?? 2000);
const seed = Number(process.env['HIPACHE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Exchanges between two sessions take longer than inputs. */
const exchangesWanted = Math.ceil(inputsWanted / 20);
const timeout = 3_600_000;

/** Makes items from seeds, and checks what python3-h2 says of each; it works while the next ones are made. */
async function compareAll<T>(
  test: TestContext,
  count: number,
  batch: number,
  make: (itemSeed: number) => T,
  conversationsOf: (item: T) => readonly Conversation[],
  check: (item: T, answers: readonly Answer[], itemSeed: number) => void,
): Promise<void> {
  const python = new PythonH2(test);
  let checkLast = async (): Promise<void> => {};
  for (let from = 0; from < count; from += batch) {
    const seeds = Array.from({ length: Math.min(batch, count - from) }, (_, i) => (seed + from + i) % 2 ** 31);
    const items = seeds.map(make);
    const answering = python.repeat(items.flatMap(conversationsOf));
    answering.catch(() => {});
    await checkLast();
    checkLast = async () => {
      const answers = [...(await answering)];
      for (const [i, item] of items.entries()) {
        check(item, answers.splice(0, conversationsOf(item).length), seeds[i] as number);
      }
    };
  }
  await checkLast();
}

test('python3-h2 makes of frames what a session does, however they are cut', { timeout }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const endings = new Map<string, number>();
  let frames = 0;
  let toTheEnd = 0;
  const make = (inputSeed: number): Run => {
    const input = makeInput(seeded(inputSeed));
    const whole = run(input);
    const difference = splitDifference(whole.total, runPieces(input, seeded(-inputSeed)));
    assert.equal(difference, null, `seed ${inputSeed}: ${difference}: ${input.bytes.toString('hex')}`);
    return whole;
  };
  const check = (item: Run, [answer]: readonly Answer[], inputSeed: number): void => {
    const verdict = verdictOf(item, answer as Answer);
    frames += answer?.heard.length ?? 0;
    if (verdict.kind === 'different') assert.fail(`seed ${inputSeed}: ${verdict.why}`);
    if (verdict.kind === 'same') toTheEnd++;
    else endings.set(verdict.clause, (endings.get(verdict.clause) ?? 0) + 1);
  };
  await compareAll(t, inputsWanted, 250, make, (item) => [item.conversation], check);
  t.diagnostic(`${frames} steps, ${toTheEnd} of ${inputsWanted} inputs compared to their end; the others ended by`);
  for (const [clause, count] of endings) t.diagnostic(`${count} × ${clause}`);
  assert.ok(inputsWanted < 1000 || toTheEnd > inputsWanted / 4);
});

test('python3-h2 reads what sessions write, in both roles, as they mean it', { timeout }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  let streams = 0;
  const make = (pairSeed: number): Pair => {
    const pair = new Pair(seeded(pairSeed));
    pair.run();
    return pair;
  };
  const check = ({ client, server }: Pair, [ofClient, ofServer]: readonly Answer[], pairSeed: number): void => {
    streams += client.streams.length;
    const problem = receivedProblem(client, server, ofClient as Answer);
    assert.equal(problem, null, `seed ${pairSeed}: the client: ${problem}`);
    const other = receivedProblem(server, client, ofServer as Answer);
    assert.equal(other, null, `seed ${pairSeed}: the server: ${other}`);
  };
  const conversations = ({ client, server }: Pair): Conversation[] => [client.conversation, server.conversation];
  await compareAll(t, exchangesWanted, 50, make, conversations, check);
  t.diagnostic(`${streams} streams of ${exchangesWanted} connections`);
});
