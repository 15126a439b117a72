// SPDX-License-Identifier: Apache-2.0
/** Writes stamped blocks to an NBD disk without pause, on several connections, surviving the death of the server, and logs every acknowledgement. */
import { setTimeout as delay } from 'node:timers/promises';
import { clockMicros } from '@secondsite/disk-files';
import { NbdClient } from '@secondsite/nbd';
import { AcknowledgementLog, blockBytes, stampedBlocks } from './acknowledgement-log';
import type { Random } from './random';

/**
 * What all but the slowest percent of the writes may take, whatever became of replication: 50 ms on a quiet machine (docs/faults.md), twice as much
 * beside other specs, or what a busy machine makes of them anyway. `usual`: what they took before.
 */
export function latencyMicrosMax(usual: number): number {
  return Math.max(100_000, 3 * usual);
}

export interface LoadOptions {
  readonly uri: string;
  readonly blocks: number;
  readonly random: Random;
  /** Writers, each with its own connection and its own part of the disk, so that the order of writes to a block is known. */
  readonly writers?: number;
  /** Pause after each write; bounds the load. */
  readonly pauseMillis?: number;
  /** That knows already what else was written to the disk. */
  readonly log?: AcknowledgementLog;
}

export class StampedLoad {
  readonly log: AcknowledgementLog;
  readonly #options: Required<Omit<LoadOptions, 'log'>>;
  #running = true;
  #interruptions = 0;
  #writers: Promise<void>[] = [];

  constructor({ log = new AcknowledgementLog(), ...options }: LoadOptions) {
    this.log = log;
    this.#options = { writers: 4, pauseMillis: 0, ...options };
  }

  /** Connections that broke and were made again. */
  get interruptions(): number {
    return this.#interruptions;
  }

  start(): void {
    const { writers } = this.#options;
    this.#writers = Array.from({ length: writers }, (_, writer) => this.#write(writer));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#writers);
  }

  async #write(writer: number): Promise<void> {
    while (this.#running) {
      try {
        const client = await NbdClient.connect(this.#options.uri);
        try {
          while (this.#running) await this.#writeOnce(client, writer);
        } finally {
          client.destroy();
        }
      } catch {
        this.#interruptions++;
        await delay(20);
      }
    }
  }

  async #writeOnce(client: NbdClient, writer: number): Promise<void> {
    const { blocks, random, writers, pauseMillis } = this.#options;
    const share = Math.floor(blocks / writers);
    const blockCount = 1 + random.below(4);
    const firstBlock = writer * share + random.below(share - blockCount);
    const write = this.log.issue({ firstBlock, blockCount, at: clockMicros() });
    await client.write(firstBlock * blockBytes, stampedBlocks({ stamp: write.stamp, firstBlock, blockCount }));
    this.log.acknowledge(write, clockMicros());
    if (pauseMillis > 0) await delay(pauseMillis);
  }
}
