// SPDX-License-Identifier: Apache-2.0
import { readWholeFile, replaceFile } from '@secondsite/durable-storage';
import { CrashableStorage, type Random, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import type { CopyAnswer, CopyOutcome } from '@secondsite/transport';
import { OperationError } from '@secondsite/units';
import { describe, expect, it } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { openPairParts } from '../pair/pair-parts';
import type { TargetPair } from '../pair/target-pair';
import { PairDriver } from '../testing/pair-driver';
import { expectTruth } from '../testing/pair-truth';
import { settleArrival } from './arrival-record';
import { COPIED_BLOCK_BYTES } from './copy-protocol';
import { PairArrival } from './pair-arrival';
import { PairDeparture } from './pair-departure';

const histories = Number(process.env['SECONDSITE_CRASH_HISTORIES'] ?? 60);

/** Two targets with a wire between them, and a pair that moves from one to the other while writes go on. */
class Move {
  readonly driver: PairDriver;
  readonly old = new CrashableStorage();
  readonly new = new CrashableStorage();
  readonly asked: Uint8Array[] = [];
  /** Bytes of blocks that crossed the wire. */
  blockBytes = 0;
  begun = 0;
  /** How many of a hundred questions go wrong. */
  troublePercent = 0;
  /** How likely a write comes between two questions. */
  writing = 0.6;
  /** Sets that are being taken when the pair is asked to stand still. */
  setsAtStand = 0;
  pair!: TargetPair;
  readonly #random: Random;
  #clock = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #onAnswer: ((ask: string) => void) | undefined;

  constructor(readonly seed: number) {
    this.#random = seededRandom(seed);
    this.driver = new PairDriver(this.#random);
  }

  async start(sets: number, green = true): Promise<this> {
    this.pair = await this.driver.open(this.old.root);
    while (this.driver.history.sets.length < sets || (green && !this.driver.history.green)) await this.driver.send(this.pair, 5);
    return this;
  }

  /** Until the pair is complete at the new target; a target that lost power starts again. */
  async arrive(signal = new AbortController().signal): Promise<PairArrival> {
    for (;;) {
      const arrival = new PairArrival({
        directory: this.new.root, pairId: this.driver.history.pairId, placement: 1, signal,
        ask: (question) => this.#ask(question), clock: () => (this.#clock += 1000), delay: async () => void (await setImmediate()),
      });
      try {
        await arrival.run();
        return arrival;
      } catch (error) {
        if (!this.new.stopped) throw error;
        this.new.crash(this.#random);
      }
    }
  }

  /** Aborted when a question of this kind was answered. */
  abortedAfter(ask: string): AbortSignal {
    const stop = new AbortController();
    this.#onAnswer = (answered) => (answered === ask ? stop.abort() : undefined);
    return stop.signal;
  }

  async #ask(question: Uint8Array): Promise<CopyAnswer> {
    this.asked.push(question);
    const trouble = randomBelow(this.#random, 100) < this.troublePercent;
    if (trouble && this.#random() < 0.3) return unreachable();
    const answer = await this.answer(question);
    if (trouble && this.#random() < 0.5) return unreachable();
    if (trouble) await this.answer(this.asked[randomBelow(this.#random, this.asked.length)] as Uint8Array);
    return answer;
  }

  /** One question after the other, as the driver sends. */
  answer(question: Uint8Array): Promise<CopyAnswer> {
    const answer = this.#turn.then(() => this.#answer(question));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** As the old target answers, which starts again when its power went; a write may come before. */
  async #answer(question: Uint8Array): Promise<CopyAnswer> {
    if (this.old.stopped) return this.#restartOld();
    try {
      if (this.pair.failed) await this.reopenOld();
      if (!this.pair.departure.stands && this.#random() < this.writing) await this.driver.send(this.pair, 1);
      const { ask } = JSON.parse(Buffer.from(question).toString()) as { ask: string };
      const offered = ask === 'stand' && this.setsAtStand > 0 ? this.driver.offer(this.pair, this.setsAtStand) : undefined;
      for (let turns = offered ? randomBelow(this.#random, 8) : 0; turns > 0; turns--) await setImmediate();
      const outcome = await this.pair.departure.answer(question, 1);
      await offered;
      if (outcome.kind === 'copied' && ask === 'blocks') this.blockBytes += outcome.answer.length;
      if (outcome.kind === 'copied' && ask === 'begin') this.begun += 1;
      this.#onAnswer?.(ask);
      return outcome.kind === 'refused' ? { ...outcome, status: 409 } : outcome;
    } catch (error) {
      if (!this.old.stopped) throw error;
      return this.#restartOld();
    }
  }

  async #restartOld(): Promise<CopyAnswer> {
    this.old.crash(this.#random);
    this.pair = await this.driver.open(this.old.root);
    return unreachable();
  }

  async reopenOld(): Promise<void> {
    await this.pair.close();
    this.pair = await this.driver.open(this.old.root);
  }

  /** The new target has every instant and goes on; the old one takes nothing any more, also after a restart. */
  async expectMoved(): Promise<void> {
    for (let start = 0; start < 2; start++) {
      const last = this.driver.history.sets.at(-1);
      const outcome = await this.pair.store(new Uint8Array(last?.bytes as Uint8Array), { epoch: last?.epoch as number, sequence: (last?.sequence as number) + 1 });
      expect(outcome).toMatchObject({ kind: 'held-off', code: 'pair/moving' });
      await this.reopenOld();
    }
    await this.pair.close();
    await settleArrival(this.new.root);
    const moved = await this.driver.open(this.new.root);
    await this.driver.send(moved, 3);
    await expectTruth(this.driver, moved, { random: this.#random, views: 6 });
    await moved.close();
  }

  /** The old target has every instant and goes on. */
  async expectStayed(): Promise<void> {
    await this.driver.send(this.pair, 3);
    await expectTruth(this.driver, this.pair, { random: this.#random, views: 4 });
    await this.pair.close();
  }
}

function unreachable(): CopyAnswer {
  return { kind: 'unreachable', cause: new OperationError({ code: 'transport/unreachable', operation: 'ask', retryable: true, hint: 'This failure is simulated.' }) };
}

async function inHistory(seed: number, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
  }
}

describe('a pair that moves to another master target', () => {
  it('arrives with every instant while writes go on, whichever questions and answers are lost, late or repeated', async () => {
    for (let seed = 1; seed <= histories / 4; seed++) {
      await inHistory(seed, async () => {
        const move = await new Move(seed).start(12);
        move.troublePercent = seed % 2 === 0 ? 12 : 0;
        const arrival = await move.arrive();
        expect(arrival.telemetry()).toMatchObject({ state: 'complete' });
        await move.expectMoved();
      });
    }
  });

  it('stands still whatever sets are being taken, also those that go straight to the replica', async () => {
    let passed = 0;
    for (let seed = 1; seed <= histories / 2; seed++) {
      await inHistory(seed, async () => {
        const move = await new Move(seed).start(seed % 8, false);
        [move.setsAtStand, move.writing] = [1 + (seed % 6), 0];
        if (!move.pair.status().green) passed += 1;
        expect((await move.arrive()).telemetry()).toMatchObject({ state: 'complete' });
        await move.expectMoved();
      });
    }
    expect(passed).toBeGreaterThan(5);
  });

  it.each(['old', 'new'] as const)('arrives whole when the power of the %s target goes at any operation of the move', async (victim) => {
    const step = Math.max(1, Math.floor(300 / histories));
    let at = 1;
    for (let cut = true; cut; at += step) {
      await inHistory(at, async () => {
        const move = await new Move(17).start(10);
        const { generation } = move[victim];
        move[victim].crashAfter(at);
        await move.arrive();
        cut = move[victim].generation > generation;
        move[victim].fault = undefined;
        await move.expectMoved();
      });
    }
    expect(at).toBeGreaterThan(40);
  });

  it('begins anew without the blocks that are there already', async () => {
    const move = await new Move(5).start(20);
    await move.pair.idle();
    move.writing = 0;
    await move.arrive(move.abortedAfter('stand'));
    const first = move.blockBytes;
    await move.arrive();
    expect(move.begun).toBe(2);
    expect(first).toBeGreaterThan(COPIED_BLOCK_BYTES);
    // One byte per block says that it is the same.
    expect(move.blockBytes - first).toBeLessThan(100);
    await move.expectMoved();
  });

  it('asks for many blocks at once, wherever they are: the process server waits meanwhile', async () => {
    const { driver, old, new: there } = new Move(15);
    const options = { ...driver.options(old.root), sizeBytes: 512 * COPIED_BLOCK_BYTES };
    const parts = await openPairParts(options);
    for (let block = 0; block < 512; block += 2) parts.replica.writeNow(Buffer.alloc(COPIED_BLOCK_BYTES, 1 + (block % 255)), block * COPIED_BLOCK_BYTES);
    const departure = new PairDeparture({ ...options, ...parts, cachedBytes: () => 0, standStill: async () => undefined });
    const asked: string[] = [];
    const ask = async (question: Uint8Array): Promise<CopyAnswer> => {
      asked.push((JSON.parse(Buffer.from(question).toString()) as { ask: string }).ask);
      const outcome = await departure.answer(question, 1);
      return outcome.kind === 'refused' ? { ...outcome, status: 409 } : outcome;
    };
    await new PairArrival({ ...options, directory: there.root, placement: 1, signal: new AbortController().signal, ask }).run();
    expect(asked.filter((kind) => kind === 'blocks')).toHaveLength(1);
    expect(Buffer.from((await readWholeFile(there.root, 'replica.img')) ?? []).equals(Buffer.from((await readWholeFile(old.root, 'replica.img')) ?? []))).toBe(true);
  });

  it('brings what is known of damage, and leaves behind how far a scrub was', async () => {
    const move = await new Move(21).start(40);
    await move.pair.close();
    const journal = await move.old.root.directory('journal');
    const damagedFile = (await journal.list()).find((name) => name.endsWith('.undo')) as string;
    const known = { offset: 4096, length: 4096, rest: [{ offset: 4096, length: 4096 }], isLost: false };
    await replaceFile(move.old.root, 'replica-damage.json', Buffer.from(JSON.stringify({ version: 1, blocks: [known] })));
    const listOf = (length: number): Buffer => {
      const ranges = Array.from({ length: 20 }, (_, index) => ({ at: 200 + 100 * index, length: 1 }));
      return Buffer.from(JSON.stringify({ version: 1, files: { [damagedFile]: [...ranges, { at: 5000, length }] } }));
    };
    await replaceFile(journal, 'damage.json', listOf(9));
    await move.reopenOld();
    move.writing = 0;
    // An older list of an earlier copy: as long, and with the same beginning.
    const begun = await move.new.root.directory('journal');
    await replaceFile(begun, 'damage.json', listOf(7));
    await move.arrive();
    expect(Buffer.from((await readWholeFile(begun, 'damage.json')) ?? []).equals(listOf(9))).toBe(true);
    expect(await move.new.root.list()).not.toContain('scrub.json');
    await settleArrival(move.new.root);
    const moved = await move.driver.open(move.new.root);
    expect(moved.position().damaged).toEqual([{ offset: 4096, length: 4096 }]);
    await moved.close();
  });

  it('stays where it is when the move is cancelled, before and after the hand-over', async () => {
    for (const upTo of ['round', 'stand', 'hand-over']) {
      const move = await new Move(9).start(12);
      await move.arrive(move.abortedAfter(upTo));
      move.pair.departure.atHome(0);
      expect(move.pair.departure.mustReopen).toBe(false);
      move.pair.departure.atHome(1);
      expect(move.pair.failed).toBe(upTo !== 'round');
      await move.pair.close();
      move.pair = await move.driver.open(move.old.root, {}, undefined, 1);
      await move.expectStayed();
    }
  });

  it('goes on at the old target by itself when it cannot come to a stand', async () => {
    const { driver, old } = new Move(13);
    const options = driver.options(old.root);
    let now = 0;
    const departure = new PairDeparture({ ...options, ...(await openPairParts(options)), clock: () => now, cachedBytes: () => 0, standStill: () => new Promise(() => undefined) });
    const ask = async (question: object): Promise<CopyOutcome> => departure.answer(Buffer.from(JSON.stringify({ placement: 1, ...question })), 1);
    const begun = await ask({ ask: 'begin' });
    const { copyId } = JSON.parse(Buffer.from(begun.kind === 'copied' ? begun.answer : []).toString()) as { copyId: string };
    await ask({ ask: 'stand', copyId });
    for (let round = 1; round <= 50; round++) {
      expect(departure.mustReopen).toBe(false);
      expect((await ask({ ask: 'round', round, copyId })).kind).toBe('copied');
      now += 1e6;
    }
    now += 15e6;
    expect(await ask({ ask: 'round', round: 51, copyId })).toMatchObject({ kind: 'refused', code: 'copy/unknown' });
    expect(departure.mustReopen).toBe(true);
  });

  it('goes on at the old target by itself when nobody asks it for a while', async () => {
    const move = await new Move(11).start(12);
    const ask = async (question: object): Promise<CopyAnswer> => move.answer(Buffer.from(JSON.stringify({ placement: 1, ...question })));
    const begun = await ask({ ask: 'begin' });
    const { copyId } = JSON.parse(Buffer.from(begun.kind === 'copied' ? begun.answer : []).toString()) as { copyId: string };
    await ask({ ask: 'stand', copyId });
    while (move.pair.departure.mustReopen === false) await setImmediate();
    expect(await move.pair.departure.answer(Buffer.from(JSON.stringify({ placement: 1, ask: 'hand-over', copyId })), 1)).toMatchObject({ kind: 'refused', code: 'copy/unknown' });
    await move.reopenOld();
    await move.expectStayed();
  });
});
