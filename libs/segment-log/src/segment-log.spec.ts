// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { StorageDirectory } from '@secondsite/durable-storage';
import { crashHistories, type CrashRound, CrashableStorage, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import type { LiveRecord, RecordPosition } from './log-record';
import { encodeSegmentHeader, payloadChecksum, segmentName } from './record-format';
import { SegmentLog } from './segment-log';

const small = { segmentBytes: 4096, groupBytesMax: 2048, payloadBytesMax: 8192 };

function payload(sequence: number, size = 100): Uint8Array {
  return new Uint8Array(size).map((_, index) => (sequence * 31 + index * 7) % 256);
}

function append(log: SegmentLog, sequence: number, size = 100): Promise<RecordPosition> {
  const bytes = payload(sequence, size);
  return log.append({ key: { epoch: 1, sequence }, parts: [bytes.subarray(0, 3), bytes.subarray(3)] });
}

async function sequencesOf(log: SegmentLog, records: readonly LiveRecord[] = log.records()): Promise<number[]> {
  for (const { key, position } of records) {
    expect(Buffer.compare(await log.read(position), payload(key.sequence, position.payloadBytes))).toBe(0);
  }
  return records.map(({ key }) => key.sequence);
}

describe('segment log', () => {
  it('gives back every record in the order of appending, over close and open', async () => {
    const { root } = new CrashableStorage();
    const log = await SegmentLog.open(root, small);
    const positions = await Promise.all([1, 2, 3, 4, 5].map((sequence) => append(log, sequence, sequence * 400)));
    expect(Buffer.compare(await log.read(positions[2] as RecordPosition), payload(3, 1200))).toBe(0);
    expect(await Promise.all([append(log, 6, 0), append(log, 7, 8192)])).toHaveLength(2);
    expect(log.recordCount).toBe(7);
    await log.close();
    const again = await SegmentLog.open(root, small);
    expect(await sequencesOf(again)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(again.corrupt).toEqual([]);
  });

  it('serves all waiting appends with one write and one sync', async () => {
    const storage = new CrashableStorage();
    const log = await SegmentLog.open(storage.root, { segmentBytes: 1 << 20 });
    await append(log, 1);
    const before = storage.operations;
    await Promise.all(Array.from({ length: 50 }, (_, index) => append(log, 2 + index)));
    expect(storage.operations - before).toBe(2);
    expect(log.pendingBytes).toBe(0);
  });

  it('frees a segment with its last needed record, and keeps the space in use bounded when everything is released at once', async () => {
    const storage = new CrashableStorage();
    const log = await SegmentLog.open(storage.root, { ...small, sparesMax: 0 });
    const positions: RecordPosition[] = [];
    for (let sequence = 1; sequence <= 40; sequence += 1) positions.push(await append(log, sequence, 1000));
    const full = log.bytesInUse;
    for (const position of positions.slice(1)) log.release(position);
    await expect(log.read(positions[1] as RecordPosition)).rejects.toThrow('released');
    expect(log.bytesInUse).toBeLessThan(full / 4);
    for (let sequence = 41; sequence <= 400; sequence += 1) log.release(await append(log, sequence, 1000));
    expect(log.bytesInUse).toBeLessThanOrEqual(3 * small.segmentBytes);
    log.release(positions[0] as RecordPosition);
    await new Promise(setImmediate);
    log.trim();
    expect(log.bytesInUse).toBe(0);
    await append(log, 999);
    log.trim();
    await log.close();
    expect(await storage.root.list()).toHaveLength(1);
    expect(await sequencesOf(await SegmentLog.open(storage.root, small))).toEqual([999]);
  });

  it('writes the files of released segments again, keeps no more of them than it may, and none in quiet times', async () => {
    const storage = new CrashableStorage();
    const log = await SegmentLog.open(storage.root, { segmentBytes: 1 << 16, groupBytesMax: 1 << 15, payloadBytesMax: 1 << 15, sparesMax: 2 });
    const kinds: string[] = [];
    storage.fault = ({ kind, name }) => void kinds.push(`${kind} ${name.replace(/\d+/, 'N')}`);
    for (let sequence = 1; sequence <= 60; sequence += 1) log.release(await append(log, sequence, 16_000));
    expect(kinds.filter((kind) => kind === 'open /segment-N.log').length).toBeLessThanOrEqual(3);
    expect(kinds.filter((kind) => kind === 'rename /spare-N.log').length).toBeGreaterThan(10);
    const positions: RecordPosition[] = [];
    for (let sequence = 61; sequence <= 80; sequence += 1) positions.push(await append(log, sequence, 16_000));
    for (const position of positions) log.release(position);
    await new Promise(setImmediate);
    const spares = async (): Promise<number> => (await storage.root.list()).filter((name) => name.startsWith('spare-')).length;
    expect(await spares()).toBe(2);
    expect(log.bytesInUse).toBeGreaterThan(2 * (1 << 15));
    for (let sequence = 81; sequence <= 190; sequence += 1) log.release(await append(log, sequence, 10));
    await new Promise(setImmediate);
    expect(await spares()).toBe(0);
    await log.close();
  });

  it('begins no segment before the file of the one before it has left, which a crash would else find with records of another', async () => {
    const { root } = new CrashableStorage();
    const mayLeave = Promise.withResolvers<void>();
    const directory: StorageDirectory = {
      path: root.path, list: () => root.list(), open: (...args) => root.open(...args), remove: (name) => root.remove(name), directory: (name) => root.directory(name),
      sync: () => root.sync(), freeBytes: () => root.freeBytes(), rename: (...args) => mayLeave.promise.then(() => root.rename(...args)),
    };
    const log = await SegmentLog.open(directory, small);
    for (const position of await Promise.all([1, 2, 3].map((sequence) => append(log, sequence, 1000)))) log.release(position);
    const appended = append(log, 4, 1000);
    await new Promise(setImmediate);
    expect(await root.list()).toEqual(['segment-000000000001.log']);
    mayLeave.resolve();
    await appended;
    expect(await root.list()).toEqual(['segment-000000000002.log']);
  });

  it('removes files that an earlier process kept', async () => {
    const storage = new CrashableStorage();
    const log = await SegmentLog.open(storage.root, small);
    const positions = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((sequence) => append(log, sequence, 1000)));
    for (const position of positions) log.release(position);
    await new Promise(setImmediate);
    expect(await storage.root.list()).toContain('spare-000000000001.log');
    storage.restore(storage.snapshot());
    const again = await SegmentLog.open(storage.root, small);
    expect((await storage.root.list()).filter((name) => name.startsWith('spare-'))).toEqual([]);
    expect(again.corrupt).toEqual([]);
  });

  it('goes on after a full disk, and accepts nothing more after a failed sync', async () => {
    const storage = new CrashableStorage();
    const log = await SegmentLog.open(storage.root, small);
    for (const isFirst of [true, false]) {
      storage.fault = ({ kind }) => (kind === 'write' ? 'no-space' : undefined);
      await expect(append(log, 9)).rejects.toMatchObject({ code: 'storage/no-space', retryable: true });
      storage.fault = undefined;
      await append(log, isFirst ? 1 : 2);
    }
    storage.fault = ({ kind }) => (kind === 'sync' ? 'io-error' : undefined);
    await expect(append(log, 3)).rejects.toMatchObject({ code: 'segment-log/failed' });
    storage.fault = undefined;
    await expect(append(log, 4)).rejects.toMatchObject({ code: 'segment-log/failed' });
    storage.crash(seededRandom(1));
    expect((await sequencesOf(await SegmentLog.open(storage.root, small))).slice(0, 2)).toEqual([1, 2]);
  });
});

describe('damage', () => {
  async function written(): Promise<{ storage: CrashableStorage; root: StorageDirectory; positions: RecordPosition[] }> {
    const storage = new CrashableStorage();
    const { root } = storage;
    const log = await SegmentLog.open(root, small);
    const positions: RecordPosition[] = [];
    for (let sequence = 1; sequence <= 12; sequence += 1) positions.push(await append(log, sequence, 600));
    await log.close();
    return { storage, root, positions };
  }

  async function spoil(root: StorageDirectory, place: { segment: number; offset: number }): Promise<void> {
    const file = await root.open(segmentName(place.segment));
    const byte = new Uint8Array(1);
    file.readNow(byte, place.offset);
    file.writeNow(byte.map((value) => value ^ 0x10), place.offset);
    await file.close();
  }

  it('in a header is reported and skipped, and the records round it are served', async () => {
    for (const index of [1, 7]) {
      const { root, positions } = await written();
      const bad = positions[index] as RecordPosition;
      await spoil(root, bad);
      const log = await SegmentLog.open(root, small);
      expect(log.corrupt).toEqual([{ segment: bad.segment, offset: bad.offset, length: 704 }]);
      expect(await sequencesOf(log)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].filter((sequence) => sequence !== index + 1));
    }
  });

  it('in a payload of the newest segment is found at open, elsewhere at the read; it is never served', async () => {
    const { root, positions } = await written();
    const older = positions[0] as RecordPosition;
    const newest = positions[10] as RecordPosition;
    expect(newest.segment).toBe(positions[11]?.segment);
    await spoil(root, { segment: older.segment, offset: older.offset + 64 + 599 });
    await spoil(root, { segment: newest.segment, offset: newest.offset + 64 });
    const log = await SegmentLog.open(root, small);
    expect(log.corrupt).toMatchObject([{ segment: newest.segment, offset: newest.offset }]);
    expect(log.records().map(({ key }) => key.sequence)).not.toContain(11);
    await expect(log.read(older)).rejects.toMatchObject({ code: 'segment-log/corrupt-record' });
  });

  it('of a segment header is reported, and its records are served all the same', async () => {
    for (const index of [0, 11]) {
      const { root, positions } = await written();
      const segment = positions[index]?.segment ?? 0;
      await spoil(root, { segment, offset: 8 });
      const log = await SegmentLog.open(root, small);
      expect(log.corrupt).toEqual([{ segment, offset: 0, length: 64 }]);
      expect(await sequencesOf(log)).toHaveLength(12);
    }
  });

  it('is not what another version of the format is called', async () => {
    const { root } = await written();
    const file = await root.open(segmentName(1));
    const header = encodeSegmentHeader(1);
    header[4] = 2;
    header.set(payloadChecksum([header.subarray(0, 56)]), 56);
    file.writeNow(header, 0);
    await expect(SegmentLog.open(root, small)).rejects.toMatchObject({ code: 'segment-log/unknown-version' });
  });

  it('of any single byte never makes a wrong record appear', async () => {
    const { storage, positions } = await written();
    const random = seededRandom(11);
    const undamaged = storage.snapshot();
    for (let round = 0; round < 200; round += 1) {
      storage.restore(undamaged);
      const segment = positions[randomBelow(random, 12)]?.segment ?? 1;
      await spoil(storage.root, { segment, offset: randomBelow(random, segment === 3 ? 1400 : 3500) });
      const log = await SegmentLog.open(storage.root, small);
      for (const { key, position } of log.records()) {
        const bytes = await log.read(position).catch(() => undefined);
        if (bytes) expect(Buffer.compare(bytes, payload(key.sequence, 600))).toBe(0);
      }
      expect(log.recordCount).toBeGreaterThanOrEqual(11);
    }
  });
});

interface Promised {
  /** Sequences whose append resolved and that were never released, oldest first. */
  readonly needed: Set<number>;
  /** Sizes by sequence of all appends ever tried. */
  readonly tried: Map<number, number>;
  next: number;
}

describe('power cuts', () => {
  async function work({ storage, random, model }: CrashRound<Promised>): Promise<void> {
    const log = await SegmentLog.open(storage.root, small);
    const places = new Map(log.records().map(({ key, position }) => [key.sequence, position]));
    const failures: unknown[] = [];
    for (let step = 0; step < 30; step += 1) {
      const appends = Array.from({ length: 1 + randomBelow(random, 4) }, async () => {
        const sequence = model.next++;
        model.tried.set(sequence, randomBelow(random, 1500));
        places.set(sequence, await append(log, sequence, model.tried.get(sequence)));
        model.needed.add(sequence);
      });
      if (random() < 0.5) await settle(appends, failures);
      else void settle(appends, failures);
      for (const [sequence, position] of places) {
        if (random() > 0.2 || !model.needed.delete(sequence)) continue;
        log.release(position);
        places.delete(sequence);
      }
      if (failures.length > 0) throw failures[0];
    }
    await log.close();
  }

  async function settle(appends: readonly Promise<void>[], failures: unknown[]): Promise<void> {
    for (const result of await Promise.allSettled(appends)) if (result.status === 'rejected') failures.push(result.reason);
  }

  async function check({ storage, model }: CrashRound<Promised>): Promise<void> {
    const log = await SegmentLog.open(storage.root, small);
    if (log.corrupt.length > 0) throw new Error(`a torn write was taken for damage: ${JSON.stringify(log.corrupt)}`);
    const found = log.records().map(({ key }) => key.sequence);
    const lost = [...model.needed].filter((sequence) => !found.includes(sequence));
    if (lost.length > 0) throw new Error(`lost ${lost.join()}`);
    if (found.some((sequence, index) => index > 0 && sequence <= (found[index - 1] ?? 0))) throw new Error(`order ${found.join()}`);
    for (const { key, position } of log.records()) {
      const expected = payload(key.sequence, model.tried.get(key.sequence) ?? -1);
      if (Buffer.compare(await log.read(position), expected) !== 0) throw new Error(`record ${key.sequence} is not what was appended`);
      model.needed.add(key.sequence);
    }
    await log.close();
  }

  const histories = { model: (): Promised => ({ needed: new Set(), tried: new Map(), next: 1 }), run: work, check };

  it('lose no resolved append, tear none, and keep the order: 800 seeded histories of 3 cuts', async () => {
    expect(await crashHistories({ ...histories, histories: 800, rounds: 3 })).toBe(2400);
  });

  it('the same with a cut at every single operation of five histories', async () => {
    expect(await crashHistories({ ...histories, histories: 5, firstSeed: 5000, cuts: 'every' })).toBeGreaterThan(250);
  });
});
