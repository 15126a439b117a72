// SPDX-License-Identifier: Apache-2.0
// The master target's machine: a pair, its thread and its keeper, over simulated disk and time.
import type { Decompress } from '@secondsite/change-set';
import type { RetentionLimits } from '@secondsite/retention-journal';
import { type PairEvent, TargetPair, type TargetPairOptions } from '@secondsite/master-target/testing';
import type { ChangeSetHandler, CompareOutcome, PositionOutcome, StoreOutcome } from '@secondsite/transport';
import { isOperationError, KIB } from '@secondsite/units';
import { BlockTable } from '@secondsite/wan-deduplication';
import { sha256Now } from '@secondsite/sha256';
import { Life } from './life';
import { LAYOUT, SCOPE } from './layout';
import type { MachineClock } from './machine-clock';
import type { Scheduler } from './scheduler';
import type { SimulatedDisk } from './simulated-disk';
import type { Receiver } from './simulated-link';

export interface TargetNodeOptions {
  readonly scheduler: Scheduler;
  readonly clock: MachineClock;
  readonly disk: SimulatedDisk;
  readonly decompress: Decompress;
  readonly pairId: string;
  readonly sizeBytes: number;
  readonly retention: RetentionLimits;
  readonly limits: NonNullable<TargetPairOptions['limits']>;
  /** The pair is open and has not been started yet. */
  readonly onOpen: (pair: TargetPair) => void;
  readonly onEvent: (event: PairEvent, pair: TargetPair | undefined) => void;
  readonly onFault: (error: unknown) => void;
}

const FREE_SPACE_MICROS = 1_000_000;
const CLOSE_MICROS_MAX = 30_000_000;
const PAUSE_MICROS_MIN = 1_000_000;
const PAUSE_MICROS_MAX = 30_000_000;

export class TargetNode {
  readonly #options: TargetNodeOptions;
  #life: Life | undefined;
  #pair: TargetPair | undefined;
  #pauseMicros = PAUSE_MICROS_MIN;
  #isAway = true;
  /** By the pairs that were open before. */
  #rebuiltSets = 0;

  constructor(options: TargetNodeOptions) {
    this.#options = options;
  }

  /** Undefined while it is not open. */
  get pair(): TargetPair | undefined {
    return this.#pair;
  }

  get cacheBytes(): number {
    return this.#pair?.status().cacheBytes ?? 0;
  }

  /** Sets that came as references. */
  get rebuiltSets(): number {
    return this.#rebuiltSets + (this.#pair?.rebuilder?.rebuiltSets ?? 0);
  }

  get life(): Life | undefined {
    return this.#life;
  }

  get receiver(): Receiver | undefined {
    return this.#life && { life: this.#life, handler: this.#handler };
  }

  start(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#openLife();
  }

  /** As `kill -9`. */
  kill(): void {
    this.#isAway = true;
    this.#pauseMicros = PAUSE_MICROS_MIN;
    this.#endLife();
  }

  async restart(): Promise<void> {
    if (!this.#life || !this.#pair) return;
    this.#life.note('closes');
    await this.#close(this.#life, this.#pair);
  }

  #openLife(): void {
    const life = new Life('master-target', this.#options.scheduler);
    this.#life = life;
    this.#open(life).catch((error: unknown) => this.#fails(life, error));
  }

  async #open(life: Life): Promise<void> {
    const { disk, clock, onOpen, onEvent, limits, pairId, sizeBytes, retention, decompress } = this.#options;
    const pair = await TargetPair.open({
      directory: await disk.root(life).directory('pair'),
      pairId, sizeBytes, retention, decompress, limits, layout: LAYOUT,
      clock: () => clock.read(),
      delay: (millis) => life.sleep(millis * 1000),
      onEvent: (event) => {
        life.note(eventText(event));
        onEvent(event, this.#pair);
      },
      sharedBlocks: { scope: SCOPE, table: BlockTable.ofBytes(8 * KIB), sha256: sha256Now, readOther: async () => false },
      recycle: (memory) => void new Uint8Array(memory).fill(0xdd),
    });
    if (pair.rebuilder) pair.rebuilder.learns = true;
    this.#pair = pair;
    life.note(`is up at ${pair.journal.applied.epoch}/${pair.journal.applied.sequence}`);
    onOpen(pair);
    pair.start();
    life.every(FREE_SPACE_MICROS, () => this.#look(life, pair));
  }

  /** The thread's look at the free space, and the keeper's at a pair that stopped. */
  #look(life: Life, pair: TargetPair): void {
    pair.refreshFreeBytes().catch((error: unknown) => this.#fails(life, error));
    if (pair.failed) void this.#close(life, pair);
  }

  async #close(life: Life, pair: TargetPair): Promise<void> {
    if (this.#pair !== pair) return;
    this.#forgetPair();
    await Promise.race([pair.close().catch(() => undefined), life.sleep(CLOSE_MICROS_MAX)]);
    this.#again(life);
  }

  /** An operating failure is tried again after a pause; anything else is a bug. */
  #fails(life: Life, error: unknown): void {
    if (life.isOver) return;
    if (!isOperationError(error)) return this.#options.onFault(error);
    life.note(`fails: ${error.code}`);
    this.#again(life);
  }

  #again(life: Life): void {
    if (life.isOver || this.#life !== life) return;
    this.#endLife();
    const pauseMicros = this.#pauseMicros;
    this.#pauseMicros = Math.min(PAUSE_MICROS_MAX, 2 * pauseMicros);
    this.#options.scheduler.after(pauseMicros, () => {
      if (!this.#isAway && !this.#life) this.#openLife();
    });
  }

  #forgetPair(): void {
    this.#rebuiltSets = this.rebuiltSets;
    this.#pair = undefined;
  }

  #endLife(): void {
    this.#forgetPair();
    this.#life?.end();
    this.#life = undefined;
  }

  readonly #handler: ChangeSetHandler = {
    store: ({ body, epoch, sequence }): Promise<StoreOutcome> => this.#pair?.store(body, { epoch, sequence }) ?? Promise.resolve(notOpen()),
    compare: ({ question, epoch, sequence }): Promise<CompareOutcome> => this.#pair?.compare(question, { epoch, sequence }) ?? Promise.resolve(notOpen()),
    position: async (): Promise<PositionOutcome> => (this.#pair ? { kind: 'known', ...this.#pair.position() } : notOpen()),
  };
}

function notOpen(): StoreOutcome & { kind: 'held-off' } {
  return { kind: 'held-off', code: 'pair/not-open', detail: 'the pair is being opened', retryAfterMillis: 25 };
}

function eventText(event: PairEvent): string {
  if (event.kind === 'fault') return `fault ${event.code}: ${event.hint}`;
  if (event.kind === 'resync-required') return `resync-required: ${event.reason}`;
  return 'epoch' in event ? `${event.kind} ${event.epoch}/${event.sequence}` : event.kind;
}
