// SPDX-License-Identifier: Apache-2.0
// One link with a bandwidth limit, shared by start-time fair queueing (Goyal, Vin, Cheng 1996) of slices. Invariants: over any time at most
// `rate × time` plus one burst is let through; flows that have something to send get their shares by weight; a few bodies at most are under
// way at once; a flow has at most one turn at a time, in the order of `begin`.
import type { ByteCount } from '@secondsite/units';

export interface LinkClock {
  /** Milliseconds, monotonic. */
  now(): number;
  sleep(millis: number): Promise<void>;
}

/** Whose bytes they are. */
export interface Flow {
  /** Bodies of one flow are sent one after the other. */
  readonly flow: string;
  /** Share of the link beside other flows that have something to send. */
  readonly weight: number;
}

/** A body whose turn has come. */
export interface Transfer {
  /** Before each slice is handed on. Undefined: at once. */
  pace(bytes: ByteCount): Promise<void> | undefined;
  /** The next body may begin. Idempotent. */
  end(): void;
}

export interface ShapedLinkOptions {
  /** The limit now; undefined: none. */
  readonly bytesPerSecond: () => number | undefined;
  readonly clock: LinkClock;
}

interface Waiting extends Flow {
  /** Virtual time from which on it may be sent; the least is next. */
  readonly start: number;
  readonly admit: () => void;
}

interface WaitingSlice extends Waiting {
  readonly bytes: ByteCount;
}

const TRANSFERS_MAX = 4;
/** Each of several bodies at once must move fast enough for the receiver not to take it for stalled. */
const BYTES_PER_SECOND_EACH = 64 * 1024;
/** Slices that came late, because a timer did, make up for so much. */
const BURST_MILLIS = 50;

export class ShapedLink {
  readonly #options: ShapedLinkOptions;
  readonly #active = new Set<Waiting>();
  #turns: Waiting[] = [];
  #slices: WaitingSlice[] = [];
  /** Virtual time: the latest start of a slice that was sent. */
  #virtualTime = 0;
  /** Virtual time at which a flow's share so far is used up. */
  readonly #usedUntil = new Map<string, number>();
  /** When the link is free for the next slice. */
  #freeAt = -Infinity;
  #serving = false;

  constructor(options: ShapedLinkOptions) {
    this.#options = options;
  }

  /** Whether a body may have to wait now. */
  get isLimited(): boolean {
    return this.#options.bytesPerSecond() !== undefined || this.#turns.length > 0;
  }

  /**
   * Resolves when the flow's turn for a body has come; undefined when there is no limit now, and nobody has to wait. After `signal` has given
   * the wait up the turn comes at once, and is ended like any other.
   */
  begin(flow: Flow, signal?: AbortSignal): Promise<Transfer> | undefined {
    return this.isLimited ? this.#turn(flow, signal) : undefined;
  }

  /** When the link is free for a slice, without a turn; undefined: now. */
  pace(flow: Flow, bytes: ByteCount): Promise<void> | undefined {
    if (this.#options.bytesPerSecond() === undefined && this.#slices.length === 0) return undefined;
    return this.#slice(flow, { bytes, start: this.#startOf(flow) });
  }

  #slice({ flow, weight }: Flow, { bytes, start }: Pick<WaitingSlice, 'bytes' | 'start'>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#usedUntil.set(flow, start + bytes / weight);
    this.#slices.push({ flow, weight, bytes, start, admit: resolve });
    if (!this.#serving) void this.#serve();
    return promise;
  }

  async #turn(flow: Flow, signal: AbortSignal | undefined): Promise<Transfer> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting: Waiting = { ...flow, start: this.#startOf(flow), admit: resolve };
    const giveUp = (): void => {
      this.#turns = this.#turns.filter((other) => other !== waiting);
      resolve();
    };
    this.#turns.push(waiting);
    this.#admit();
    signal?.addEventListener('abort', giveUp, { once: true });
    if (signal?.aborted) giveUp();
    await promise;
    signal?.removeEventListener('abort', giveUp);
    return { pace: (bytes) => this.#paceOfTurn(waiting, bytes), end: () => this.#end(waiting) };
  }

  #paceOfTurn(turn: Waiting, bytes: ByteCount): Promise<void> | undefined {
    if (this.#options.bytesPerSecond() === undefined && this.#slices.length === 0) return undefined;
    return this.#slice(turn, { bytes, start: this.#startOfTurn(turn) });
  }

  #end(turn: Waiting): void {
    if (this.#active.delete(turn)) this.#admit();
  }

  #admit(): void {
    for (let next = this.#nextTurn(); next; next = this.#nextTurn()) {
      const admitted = next;
      this.#turns = this.#turns.filter((other) => other !== admitted);
      this.#active.add(admitted);
      admitted.admit();
    }
    if (this.#turns.length === 0 && this.#active.size === 0 && this.#slices.length === 0) this.#forgetShares();
  }

  #nextTurn(): Waiting | undefined {
    if (this.#active.size >= this.#transfersMax()) return undefined;
    const sending = new Set([...this.#active].map(({ flow }) => flow));
    return earliest(this.#turns.filter(({ flow }) => !sending.has(flow)), (turn) => this.#startOfTurn(turn));
  }

  #transfersMax(): number {
    const rate = this.#options.bytesPerSecond() ?? Infinity;
    return Math.min(TRANSFERS_MAX, Math.max(1, Math.floor(rate / BYTES_PER_SECOND_EACH)));
  }

  /** A flow that waited for its turn keeps its share of that time. */
  #startOfTurn({ flow, start }: Waiting): number {
    return Math.max(start, this.#usedUntil.get(flow) ?? 0);
  }

  #startOf({ flow }: Flow): number {
    return Math.max(this.#virtualTime, this.#usedUntil.get(flow) ?? 0);
  }

  /** Lets the slices through that wait, one after the other, as the limit of that moment says. */
  async #serve(): Promise<void> {
    const { clock, bytesPerSecond } = this.#options;
    this.#serving = true;
    for (let next = earliest(this.#slices); next; next = earliest(this.#slices)) {
      const rate = bytesPerSecond();
      const waitMillis = this.#freeAt - clock.now();
      if (rate !== undefined && waitMillis > 0) {
        await clock.sleep(waitMillis);
        continue;
      }
      const served = next;
      this.#slices = this.#slices.filter((other) => other !== served);
      this.#virtualTime = Math.max(this.#virtualTime, served.start);
      if (rate !== undefined) this.#freeAt = Math.max(this.#freeAt, clock.now() - BURST_MILLIS) + (served.bytes / rate) * 1000;
      served.admit();
    }
    this.#serving = false;
  }

  /** Who has sent much while the link was not busy owes nobody anything. */
  #forgetShares(): void {
    this.#usedUntil.clear();
    this.#virtualTime = 0;
  }
}

function earliest<Item extends Waiting>(items: readonly Item[], start: (item: Item) => number = (item) => item.start): Item | undefined {
  return items.reduce<Item | undefined>((first, other) => (first !== undefined && start(first) <= start(other) ? first : other), undefined);
}
