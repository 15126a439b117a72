// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { BlockHasher, KeptChecksums } from '@secondsite/block-checksums';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { CrashableStorage, seededRandom } from '@secondsite/durable-storage/testing';
import { isOperationError, MIB } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { setImmediate } from 'node:timers/promises';
import { MarkKeeper } from './mark-keeper';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const volumeBytes = 8 * MIB;
const region = (index: number) => ({ offset: index * MIB, length: 4096 });

/** A data folder whose disk fails or hangs on request, and the keeper on it. */
class DataFolder {
  readonly storage = new CrashableStorage();
  millis = 0;
  givenUp = 0;
  kept = 0;
  bitmap!: WriteIntentBitmap;
  checksums!: KeptChecksums;
  marks!: MarkKeeper;
  #hanging: PromiseWithResolvers<void> | undefined;

  /** Opens what is there; a new bitmap is emptied. */
  async open(): Promise<void> {
    const directory = this.#withSyncs(this.storage.root);
    this.bitmap = await WriteIntentBitmap.open({ directory, name: 'bitmap', volumeId: 'v', volumeBytes });
    this.checksums = await KeptChecksums.open({ directory, name: 'kept', pairId, volumeBytes });
    this.marks = new MarkKeeper({
      bitmap: this.bitmap, checksums: this.checksums, volumeBytes, millis: () => this.millis,
      givingUp: () => void (this.givenUp += 1), beforeReturn: async () => void (this.kept += 1),
    });
  }

  async openWithoutMarks(): Promise<void> {
    await this.open();
    for (let index = 0; index < this.bitmap.regionCount; index++) this.bitmap.clear(index);
    await this.bitmap.flush();
    await this.bitmap.raiseEpoch();
    await this.open();
  }

  fail(): void {
    this.storage.fault = ({ kind }) => (kind === 'read' ? undefined : 'io-error');
  }

  hang(): void {
    this.#hanging = Promise.withResolvers<void>();
  }

  heal(): void {
    this.storage.fault = undefined;
    this.#hanging?.resolve();
    this.#hanging = undefined;
  }

  async losePower(): Promise<void> {
    this.heal();
    this.storage.crash(seededRandom(1));
    this.givenUp = 0;
    await this.open();
  }

  async pass(millis: number): Promise<void> {
    for (let passed = 0; passed < millis; passed += 20) {
      this.millis += 20;
      this.marks.tick();
    }
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  }

  /** An epoch that the process server knows, once the disk was given up. */
  async confirmed(): Promise<number> {
    const epoch = await this.marks.raiseEpoch();
    this.marks.stored(epoch);
    return epoch;
  }

  /** What a start makes of its file when the process server names this epoch. */
  finds(epoch: number): 'behind' | 'trusted' {
    this.marks.learnEpoch(epoch);
    return this.marks.isBehind ? 'behind' : 'trusted';
  }

  markedAfterPowerCut(): Promise<{ readonly epoch: number; readonly regions: number[] }> {
    const copy = this.storage.copy();
    copy.crash(seededRandom(2));
    return WriteIntentBitmap.open({ directory: copy.root, name: 'bitmap', volumeId: 'v', volumeBytes }).then(({ epoch, recovery }) => ({ epoch, regions: [...recovery.dirty] }));
  }

  #withSyncs(directory: StorageDirectory): StorageDirectory {
    const open = directory.open.bind(directory);
    directory.open = async (...what) => this.#withSync(await open(...what));
    return directory;
  }

  #withSync(file: StorageFile): StorageFile {
    const sync = file.sync.bind(file);
    file.sync = async () => {
      await this.#hanging?.promise;
      return sync();
    };
    return file;
  }
}

function settledOf(promise: Promise<void> | undefined): { state: 'waits' | 'may go on' | 'failed'; error?: unknown } {
  const seen: ReturnType<typeof settledOf> = { state: 'waits' };
  promise?.then(() => (seen.state = 'may go on'), (error: unknown) => Object.assign(seen, { state: 'failed', error }));
  return seen;
}

describe('marks', () => {
  let folder: DataFolder;

  beforeEach(async () => {
    folder = new DataFolder();
    await folder.openWithoutMarks();
  });

  it('are durable before a write, on a good disk', async () => {
    await folder.marks.admit(region(3));
    expect(folder.marks.admit(region(3))).toBeUndefined();
    expect(await folder.markedAfterPowerCut()).toEqual({ epoch: 1, regions: [3] });
    await folder.pass(60_000);
    expect([folder.givenUp, folder.marks.fault]).toEqual([0, undefined]);
  });

  it.each([['fails', 0], ['hangs', 5000]] as const)('are given up when the disk %s, and writes go on as soon as the process server knows', async (trouble, millis) => {
    if (trouble === 'fails') folder.fail();
    else folder.hang();
    const writes = [settledOf(folder.marks.admit(region(3))), settledOf(folder.marks.admit(region(4)))];
    if (millis > 0) await folder.pass(millis - 20);
    expect(folder.givenUp).toBe(0);
    await folder.pass(20);
    expect([folder.givenUp, folder.marks.isGivingUp, folder.marks.fault?.code]).toEqual([1, true, 'bitmap/not-durable']);
    const epoch = await folder.marks.raiseEpoch();
    folder.marks.stored(epoch - 1);
    await folder.settle();
    expect(writes.map(({ state }) => state)).toEqual(['waits', 'waits']);
    folder.marks.stored(epoch);
    await folder.settle();
    expect(writes.map(({ state }) => state)).toEqual(['may go on', 'may go on']);
    expect(folder.marks.admit(region(5))).toBeUndefined();
    expect([folder.bitmap.isMarked(5), folder.marks.isGivingUp, folder.givenUp]).toEqual([true, false, 1]);
  });

  it('are not given up because their own thread was held, or the machine slept', async () => {
    folder.hang();
    const write = settledOf(folder.marks.admit(region(3)));
    await folder.pass(3000);
    folder.millis += 60_000;
    folder.marks.tick();
    folder.heal();
    await folder.settle();
    await folder.pass(5000);
    expect([write.state, folder.givenUp]).toEqual(['may go on', 0]);
  });

  it('fail the write when the disk fails and the process server cannot be told', async () => {
    folder.fail();
    const write = settledOf(folder.marks.admit(region(3)));
    await folder.pass(9980);
    expect(write.state).toBe('waits');
    await folder.pass(40);
    expect([write.state, isOperationError(write.error, 'bitmap/not-durable')]).toEqual(['failed', true]);
  });

  it('are trusted by nobody after a crash meanwhile: everything counts as marked, and no checksum as known', async () => {
    folder.checksums.keep(folder.checksums.begin({ offset: 0, length: MIB }), new BlockHasher(pairId).checksumsOf(new Uint8Array(MIB)));
    await folder.checksums.flush(async () => undefined);
    folder.fail();
    void folder.marks.admit(region(3));
    await folder.settle();
    const epoch = await folder.confirmed();
    await folder.losePower();
    expect([folder.bitmap.markedRegions < folder.bitmap.regionCount, folder.checksums.knownBlocks > 0]).toEqual([true, true]);
    expect(folder.finds(epoch)).toBe('behind');
    await folder.marks.markAll();
    expect(folder.finds(epoch)).toBe('trusted');
    expect(await folder.marks.raiseEpoch()).toBe(epoch + 1);
    await folder.losePower();
    expect([folder.bitmap.markedRegions, folder.checksums.knownBlocks, folder.finds(epoch + 1)]).toEqual([folder.bitmap.regionCount, 0, 'trusted']);
  });

  it('leave epochs that a start which hears nothing of the process server does not begin again', async () => {
    folder.fail();
    void folder.marks.admit(region(3));
    await folder.settle();
    const epoch = await folder.confirmed();
    for (let start = 0; start < 20; start++) {
      await folder.losePower();
      expect(await folder.marks.raiseEpoch()).toBeLessThan(epoch);
    }
    expect(folder.finds(epoch)).toBe('behind');
  });

  it('are not trusted either when an epoch that was being written while the disk hung gets there after all', async () => {
    folder.hang();
    void folder.marks.raiseEpoch();
    void folder.marks.admit(region(3));
    await folder.pass(5000);
    const epoch = await folder.confirmed();
    folder.heal();
    await folder.settle();
    const { epoch: written } = await folder.markedAfterPowerCut();
    expect([written, written < epoch]).toEqual([2, true]);
  });

  it('are durable again once the disk is back, with everything that was marked meanwhile', async () => {
    folder.fail();
    void folder.marks.admit(region(3));
    await folder.settle();
    const epoch = await folder.confirmed();
    expect(folder.marks.admit(region(6))).toBeUndefined();
    await folder.pass(60_000);
    expect(folder.marks.fault).toBeDefined();
    folder.heal();
    await folder.pass(5000);
    expect([folder.marks.fault, folder.kept]).toEqual([undefined, 1]);
    expect(await folder.markedAfterPowerCut()).toEqual({ epoch, regions: [3, 6] });
    const write = folder.marks.admit(region(7));
    expect(write).toBeDefined();
    await write;
    expect(folder.givenUp).toBe(1);
    await folder.losePower();
    expect(folder.finds(epoch)).toBe('trusted');
  });

  it('are given up again, with another epoch, when the disk fails while it is brought up to date', async () => {
    folder.fail();
    void folder.marks.admit(region(3));
    await folder.settle();
    const epoch = await folder.confirmed();
    folder.heal();
    let syncs = 0;
    folder.storage.fault = ({ kind }) => (kind === 'sync' && (syncs += 1) > 1 ? 'io-error' : undefined);
    await folder.pass(5000);
    expect([folder.givenUp, folder.marks.isGivingUp]).toEqual([2, true]);
    expect(await folder.marks.raiseEpoch()).toBeGreaterThanOrEqual(epoch + 1000);
  });

  it('of a new volume are not behind anything: everything is marked', async () => {
    const fresh = new DataFolder();
    await fresh.open();
    expect(fresh.finds(7)).toBe('trusted');
    expect(await fresh.marks.raiseEpoch()).toBe(8);
    expect(fresh.finds(9)).toBe('behind');
  });
});
