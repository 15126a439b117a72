// SPDX-License-Identifier: Apache-2.0
// Runs simulated histories from the command line: npx nx run simulation:run --seed N [--histories M] [--only PATTERN] [--trace]
import { parseArgs } from 'node:util';
import { HistoryFailure, runHistory } from './history';
import { type Trouble, TROUBLES } from './troubles';

const LINES_SHOWN = 200;

interface Wish {
  readonly firstSeed: number;
  readonly histories: number;
  /** Troubles that there are. */
  readonly troubles: readonly Trouble[];
  /** Show the whole trace, also when all is well. */
  readonly trace: boolean;
}

function wish(): Wish {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, histories: { type: 'string' }, only: { type: 'string', default: '' }, trace: { type: 'boolean', default: false } } });
  const firstSeed = Number(values.seed ?? Date.now() % 1_000_000_000);
  const histories = Number(values.histories ?? 1);
  if (!Number.isSafeInteger(firstSeed) || !Number.isSafeInteger(histories)) throw new RangeError('--seed and --histories take whole numbers');
  const only = new RegExp(values.only);
  const troubles = TROUBLES.filter(({ name }) => only.test(name));
  if (troubles.length === 0) throw new RangeError(`--only names none of these: ${TROUBLES.map(({ name }) => name).join(', ')}`);
  return { firstSeed, histories, troubles, trace: values.trace };
}

async function main({ firstSeed, histories, troubles, trace }: Wish): Promise<void> {
  const started = performance.now();
  let events = 0;
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const report = await runHistory(seed, { troubles, ...(trace ? { onLine: (line: string) => console.log(line) } : {}) });
    events += report.events;
    if (histories === 1) console.log(report);
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${histories} histories from seed ${firstSeed}: nothing broken; ${events} events in ${seconds.toFixed(1)} s, ${Math.round((histories * 60) / seconds)} histories a minute`);
}

function explain({ lines, message, report, cause }: HistoryFailure, { trace }: Wish): void {
  if (!trace && lines.length > LINES_SHOWN) console.error(`… ${lines.length - LINES_SHOWN} lines before these (--trace shows all)`);
  if (!trace) console.error(lines.slice(-LINES_SHOWN).join('\n'));
  console.error(`\n${message}\n${cause instanceof Error ? cause.stack : ''}\n\nAgain: npx nx run simulation:run --seed ${report.seed} --trace`);
}

const wanted = wish();
main(wanted).catch((error: unknown) => {
  if (!(error instanceof HistoryFailure)) throw error;
  explain(error, wanted);
  process.exitCode = 1;
});
