// SPDX-License-Identifier: Apache-2.0
// How far the replica is durable, in a file of two slots written in turn: a torn write leaves the other slot. Layout: FORMAT.md.
import { checksum } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { StreamState } from '@secondsite/retention-journal';
import type { StreamPlace } from './pair-types';

const SLOT_BYTES = 4096;
const HEADER_BYTES = 16;
const MAGIC = 0x43545353;

export interface Checkpoint {
  /** Everything up to here is durable in the replica. */
  readonly applied: StreamState;
  /** Where older epochs ended, newest last; repeats of their sets are answered as stored. */
  readonly endedEpochs: readonly StreamPlace[];
}

export class CheckpointFile {
  readonly #file: StorageFile;
  #generation: number;
  #current: Checkpoint | undefined;

  private constructor(file: StorageFile, newest: { generation: number; checkpoint: Checkpoint } | undefined) {
    this.#file = file;
    this.#generation = newest?.generation ?? 0;
    this.#current = newest?.checkpoint;
  }

  /** What it reads is durable on return: after a crash of the process alone the newest slot may stand in the page cache only. */
  static async open(directory: StorageDirectory): Promise<CheckpointFile> {
    const file = await directory.open('checkpoint', { create: true });
    await file.sync();
    await directory.sync();
    const slots = [readSlot(file, 0), readSlot(file, 1)].filter((slot) => slot !== undefined);
    return new CheckpointFile(file, slots.sort((left, right) => right.generation - left.generation)[0]);
  }

  /** The newest durable checkpoint; undefined for a new pair. */
  get current(): Checkpoint | undefined {
    return this.#current;
  }

  /** Durable on return. The replica must be durable up to `checkpoint.applied` before. */
  async write(checkpoint: Checkpoint): Promise<void> {
    const generation = this.#generation + 1;
    const text = Buffer.from(JSON.stringify({ generation, checkpoint }));
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt32LE(MAGIC, 0);
    slot.writeUInt32LE(text.length, 4);
    slot.set(checksum([text]), 8);
    slot.set(text, HEADER_BYTES);
    await this.#file.write([slot], (generation % 2) * SLOT_BYTES);
    await this.#file.sync();
    this.#generation = generation;
    this.#current = checkpoint;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function readSlot(file: StorageFile, index: number): { generation: number; checkpoint: Checkpoint } | undefined {
  const slot = Buffer.alloc(SLOT_BYTES);
  if (file.readNow(slot, index * SLOT_BYTES) < HEADER_BYTES || slot.readUInt32LE(0) !== MAGIC) return undefined;
  const length = slot.readUInt32LE(4);
  const text = slot.subarray(HEADER_BYTES, HEADER_BYTES + length);
  if (text.length !== length || !slot.subarray(8, 16).equals(checksum([text]))) return undefined;
  return JSON.parse(text.toString('utf8')) as { generation: number; checkpoint: Checkpoint };
}
