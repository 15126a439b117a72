// SPDX-License-Identifier: Apache-2.0
// The process server's machine: what ProcessServer wires up, over simulated disk, network and time.
import type { Compress } from '@secondsite/change-set';
import type { ProcessServerPair, ProcessServerPairTelemetry } from '@secondsite/contracts';
import { ByteBudget, ChangeSetReceiver, Deduplicator, FreeSpaceGuard, PairRegistry, type ProcessServerFact, referToKnownBlocks, type Timers, TrafficShaper } from '@secondsite/process-server/testing';
import { BodyPool, type ChangeSetHandler } from '@secondsite/transport';
import { isOperationError, KIB } from '@secondsite/units';
import { BlockTable } from '@secondsite/wan-deduplication';
import { sha256Now } from '@secondsite/sha256';
import { SCOPE } from './layout';
import { Life } from './life';
import type { MachineClock } from './machine-clock';
import type { Scheduler } from './scheduler';
import type { SimulatedDisk } from './simulated-disk';
import type { Receiver, SimulatedLink } from './simulated-link';

export interface ProcessServerNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly clock: MachineClock;
  readonly disk: SimulatedDisk;
  readonly toTarget: SimulatedLink;
  readonly compress: Compress;
  readonly pair: ProcessServerPair;
  readonly onFault: (error: unknown) => void;
}

const CHECKPOINT_MICROS = 500_000;
const FREE_SPACE_MICROS = 1_000_000;
const RESTART_MICROS = 1_000_000;
const FREE_BYTES_MIN = 8 * KIB;
const MEMORY_BYTES = 24 * KIB;
const RECEIVE_BYTES_MAX = 96 * KIB;

/** Memory that is given back shows it, to whoever still reads it. */
class PoisoningPool extends BodyPool {
  override giveBack(memory: ArrayBufferLike): void {
    new Uint8Array(memory).fill(0xdd);
    super.giveBack(memory);
  }
}

interface Running {
  readonly life: Life;
  readonly pairs: PairRegistry;
  readonly receiver: ChangeSetHandler;
  readonly sinceMicros: number;
}

export class ProcessServerNode {
  readonly #options: ProcessServerNodeOptions;
  #pair: ProcessServerPair;
  #life: Life | undefined;
  #running: Running | undefined;
  #revision = 1;
  #isAssigned = false;

  constructor(options: ProcessServerNodeOptions) {
    this.#options = options;
    this.#pair = options.pair;
  }

  get receiver(): Receiver | undefined {
    return this.#running && { life: this.#running.life, handler: this.#running.receiver };
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Bytes in the spool; 0 until what a crash brought back has been dropped with the first checkpoints. */
  get spoolBytes(): number {
    const isSettled = this.#running !== undefined && this.#options.scheduler.now - this.#running.sinceMicros > 4 * CHECKPOINT_MICROS;
    return isSettled ? (this.telemetry?.spoolBytes ?? 0) : 0;
  }

  /** Undefined while it does not run. */
  get telemetry(): ProcessServerPairTelemetry | undefined {
    return this.#running?.pairs.get(this.#pair.pairId)?.telemetry();
  }

  start(): void {
    if (this.#life) return;
    const life = new Life(this.#options.name, this.#options.scheduler);
    this.#life = life;
    this.#open(life).catch((error: unknown) => this.#dies(life, error));
  }

  /** As `kill -9`. */
  kill(): void {
    this.#running = undefined;
    this.#life?.end();
    this.#life = undefined;
  }

  /** As a supervisor's restart. */
  async restart(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    running.life.note('closes');
    this.#running = undefined;
    await running.pairs.close().catch((error: unknown) => this.#dies(running.life, error));
    if (running.life.isOver) return;
    this.kill();
    this.start();
  }

  /** A changed desired state. */
  configure(change: Partial<ProcessServerPair>): void {
    this.#pair = { ...this.#pair, ...change };
    const running = this.#running;
    running?.pairs.reconcile(this.#desired()).catch((error: unknown) => this.#dies(running.life, error));
  }

  /** Undefined: the pair is not here, or no more; then its spool need not be kept, but may be found again. */
  assign(assignment: Pick<ProcessServerPair, 'handover' | 'move'> | undefined): void {
    this.#isAssigned = assignment !== undefined;
    this.configure(assignment ?? {});
  }

  async #open(life: Life): Promise<void> {
    const { disk, clock, onFault } = this.#options;
    const directory = disk.root(life);
    const freeSpace = new FreeSpaceGuard(directory, FREE_BYTES_MIN);
    await freeSpace.refresh();
    const pairs = await this.#openPairs(life, freeSpace);
    const reporter = { report: (fact: ProcessServerFact) => this.#report(life, fact) };
    const receiver = new ChangeSetReceiver({ pairs, reporter, now: () => clock.read(), onFatal: (error) => this.#dies(life, error) });
    this.#running = { life, pairs, receiver: withinBudget(receiver), sinceMicros: life.scheduler.now };
    life.note('is up');
    this.configure({}); // Who is up is told the newest desired state, which may have come meanwhile.
    const regularly = (micros: number, run: () => Promise<void>): void => life.every(micros, () => void run().catch((error: unknown) => this.#dies(life, error)));
    regularly(CHECKPOINT_MICROS, () => pairs.checkpoint());
    regularly(FREE_SPACE_MICROS, () => freeSpace.refresh());
    life.onEnd(() => void (this.#running?.life === life && onFault(new Error('a life ended that is still served'))));
  }

  async #openPairs(life: Life, freeSpace: FreeSpaceGuard): Promise<PairRegistry> {
    const { disk, clock, compress, toTarget } = this.#options;
    const table = BlockTable.ofBytes(4 * KIB); // Small, so that blocks are forgotten.
    const pairs = new PairRegistry({
      directory: await disk.root(life).directory('spool'),
      removeData: async () => undefined,
      memory: new ByteBudget(MEMORY_BYTES),
      pool: new PoisoningPool({ idleBytesMax: 0 }),
      services: {
        now: () => clock.read(), timers: timersOf(life), shaper: new TrafficShaper({ clock: noLink, wallMillis: () => clock.read() / 1000 }), compress, freeSpace, forwardBudget: new ByteBudget(MEMORY_BYTES),
        reporter: { report: (fact) => this.#report(life, fact) },
        deduplicator: new Deduplicator({ table, setBytesMin: 0, refer: referToKnownBlocks({ scope: SCOPE, table, sha256: sha256Now }) }),
        connect: () => toTarget.connect(life),
      },
    });
    await pairs.reconcile(this.#desired());
    return pairs;
  }

  #desired() {
    return { revision: this.#revision++, pairs: this.#isAssigned ? [this.#pair] : [], removedPairs: this.#isAssigned ? [] : [this.#pair.pairId], links: [] };
  }

  #report(life: Life, fact: ProcessServerFact): void {
    life.note(fact.kind === 'resync-required' ? `${fact.kind}: ${fact.reason}` : fact.kind);
  }

  /** The process ends itself after an operating failure and is started again; anything else is a bug. */
  #dies(life: Life, error: unknown): void {
    if (life.isOver) return;
    if (!isOperationError(error)) return this.#options.onFault(error);
    life.note(`ends: ${error.code}`);
    this.kill();
    this.#options.scheduler.after(RESTART_MICROS, () => this.start());
  }
}

/** No history limits the bandwidth. */
const noLink = {
  now: () => 0,
  sleep: async (): Promise<void> => {
    throw new Error('nobody waits for a link without a limit');
  },
};

/** As the server of the transport: bodies that are not answered yet have a budget. */
function withinBudget(handler: ChangeSetHandler): ChangeSetHandler {
  let bytes = 0;
  return {
    position: (request) => handler.position(request),
    compare: (request) => handler.compare(request),
    store: async (request) => {
      const { length } = request.body;
      if (bytes + length > RECEIVE_BYTES_MAX) return { kind: 'held-off', code: 'transport/busy', detail: 'the memory for bodies is used up', retryAfterMillis: 200 };
      bytes += length;
      return handler.store(request).finally(() => void (bytes -= length));
    },
  };
}

function timersOf(life: Life): Timers {
  return {
    millis: () => life.scheduler.elapsedMicros / 1000,
    after: (millis, run) => life.after(Math.max(1, millis * 1000), run), // A timer takes time, or rounding could stop the clock.
  };
}
