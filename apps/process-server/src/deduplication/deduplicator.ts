// SPDX-License-Identifier: Apache-2.0
import { compiledWorker, type HostedThread, hostInThread } from '@secondsite/thread-host';
import type { ByteCount } from '@secondsite/units';
import { BlockTable, FingerprintList, KnownBlocks } from '@secondsite/wan-deduplication';
import type { StreamPlace } from '../spool/pair-state';
import { PairDeduplicator, type Refer } from './pair-deduplicator';
import type { ReferThread, ReferThreadData } from './refer-thread';

export interface DeduplicatorOptions {
  /** What targets are known to have; all pairs share it. */
  readonly table: BlockTable;
  readonly refer: Refer;
  /** See PairDeduplicatorOptions. */
  readonly setBytesMin?: ByteCount | undefined;
}

/** What this process server knows of the blocks of its targets. */
export class Deduplicator {
  readonly #options: DeduplicatorOptions;

  constructor(options: DeduplicatorOptions) {
    this.#options = options;
  }

  /** `applied`: see PairDeduplicatorOptions. */
  forPair({ target, applied }: { readonly target: string; readonly applied: () => StreamPlace }): PairDeduplicator {
    const { table, refer, setBytesMin } = this.#options;
    return new PairDeduplicator({ target, applied, refer, setBytesMin, known: new KnownBlocks(table, { target }) });
  }
}

export interface ThreadedDeduplicatorOptions {
  /** Of the process server: what it knows of one tenant never stands for another's. */
  readonly tenantId: string;
  /** Memory for what targets are known to have. */
  readonly bytesMax: ByteCount;
  /** The thread ended by itself. */
  readonly onFatal: (error: unknown) => void;
}

/** Looks for known blocks in a thread of its own, which is started when the first set needs it. */
export class ThreadedDeduplicator extends Deduplicator {
  readonly #close: () => Promise<void>;

  constructor({ tenantId, bytesMax, onFatal }: ThreadedDeduplicatorOptions) {
    const table = BlockTable.ofBytes(bytesMax);
    let starting: Promise<HostedThread<ReferThread>> | undefined;
    super({
      table,
      refer: async (bytes, options) => {
        const thread = await (starting ??= startThread({ scope: { tenantId }, memory: table.memory }, onFatal));
        const { words, referring } = await thread.call('refer', { bytes, ...options });
        return { fingerprints: new FingerprintList(words), referring };
      },
    });
    this.#close = async () => (await starting)?.close();
  }

  close(): Promise<void> {
    return this.#close();
  }
}

async function startThread(data: ReferThreadData, onFatal: (error: unknown) => void): Promise<HostedThread<ReferThread>> {
  const thread = await hostInThread<ReferThread>(compiledWorker(__dirname, 'refer.worker'), data, { name: 'deduplication' });
  void thread.exited.then((exit) => exit.kind === 'died' && onFatal(exit.error));
  return thread;
}
