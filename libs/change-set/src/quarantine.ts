// SPDX-License-Identifier: Apache-2.0
// Change sets that were refused for good and are kept aside for an inspection (I6): never applied, never sent on. Files
// `<epoch>-<sequence>.change-set` as received, each with `<epoch>-<sequence>.json`: `{reason, keptAt}`. Bounded: when it is full, later ones
// are only reported.
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, type Epoch, MIB, type SequenceNumber, type TimeMicros } from '@secondsite/units';

export interface KeptSet {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly bytes: ByteCount;
  /** Undefined when a crash came between the set and its reason. */
  readonly reason: string | undefined;
  readonly keptAt: TimeMicros | undefined;
}

export interface QuarantineLimits {
  readonly bytesMax: ByteCount;
  readonly setsMax: number;
}

const defaultLimits: QuarantineLimits = { bytesMax: 64 * MIB, setsMax: 1000 };
const namePattern = /^(\d+)-(\d+)\.change-set$/;

export class Quarantine {
  readonly #directory: StorageDirectory;
  readonly #limits: QuarantineLimits;
  readonly #kept = new Map<string, { readonly set: KeptSet; readonly durable: Promise<void> }>();
  #bytes: ByteCount = 0;

  private constructor(directory: StorageDirectory, limits: QuarantineLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  static async open(directory: StorageDirectory, limits: Partial<QuarantineLimits> = {}): Promise<Quarantine> {
    const quarantine = new Quarantine(directory, { ...defaultLimits, ...limits });
    for (const name of await directory.list()) {
      const [, epoch, sequence] = namePattern.exec(name) ?? [];
      if (epoch === undefined || sequence === undefined) continue;
      const file = await directory.open(name);
      const bytes = file.size();
      await file.close();
      quarantine.#note({ epoch: Number(epoch), sequence: Number(sequence), bytes, ...(await readReason(directory, `${epoch}-${sequence}.json`)) }, Promise.resolve());
    }
    return quarantine;
  }

  /** False when there is no room. Durable when it resolves with true; repeated sets are kept once. */
  async keep(set: Omit<KeptSet, 'bytes'>, content: Uint8Array): Promise<boolean> {
    const name = `${set.epoch}-${set.sequence}`;
    const known = this.#kept.get(name);
    if (!known && (this.#bytes + content.length > this.#limits.bytesMax || this.#kept.size >= this.#limits.setsMax)) return false;
    const kept = known ?? this.#note({ ...set, bytes: content.length }, this.#write(name, set, content));
    try {
      await kept.durable;
    } catch (error) {
      if (this.#kept.delete(name)) this.#bytes -= kept.set.bytes;
      throw error;
    }
    return true;
  }

  /** In the order of the stream. */
  list(): KeptSet[] {
    return [...this.#kept.values()].map(({ set }) => set).sort((left, right) => left.epoch - right.epoch || left.sequence - right.sequence);
  }

  #note(set: KeptSet, durable: Promise<void>): { readonly set: KeptSet; readonly durable: Promise<void> } {
    const kept = { set, durable };
    this.#kept.set(`${set.epoch}-${set.sequence}`, kept);
    this.#bytes += set.bytes;
    return kept;
  }

  async #write(name: string, { reason, keptAt }: Pick<KeptSet, 'reason' | 'keptAt'>, content: Uint8Array): Promise<void> {
    await replaceFile(this.#directory, `${name}.change-set`, content);
    await replaceFile(this.#directory, `${name}.json`, Buffer.from(`${JSON.stringify({ reason, keptAt })}\n`));
  }
}

async function readReason(directory: StorageDirectory, name: string): Promise<Pick<KeptSet, 'reason' | 'keptAt'>> {
  const content = await readWholeFile(directory, name);
  const known: unknown = content && JSON.parse(Buffer.from(content).toString('utf8'));
  const { reason, keptAt } = (known ?? {}) as { reason?: unknown; keptAt?: unknown };
  return { reason: typeof reason === 'string' ? reason : undefined, keptAt: typeof keptAt === 'number' ? keptAt : undefined };
}
