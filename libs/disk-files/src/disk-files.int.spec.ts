// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { pbkdf2, randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describeStorageContract } from '@secondsite/durable-storage/testing';
import { DiskDirectory, openDirectory } from './disk-directory';
import { DiskFile } from './disk-file';
import { readJsonFile, writeJsonAtomically } from './json-file';
import { lockFolder } from './lock-folder';
import { clockMicros, MonotonicClock } from './monotonic-clock';
import { openBlockFile } from './open-block-file';
import { storageFailure } from './storage-failure';
import { readFromMemory, setSlice } from './system-calls';
import { temporaryDirectory } from './testing';

/** Magic number of statfs(2). */
const tmpfs = 0x01021994;

describeStorageContract('disk files', temporaryDirectory, { afterEach, beforeEach, describe, expect, it });

describe('disk files', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  beforeEach(async () => {
    folder = await temporaryDirectory();
  });
  afterEach(() => folder.dispose());

  it('punched holes give their blocks back to the file system', async () => {
    const file = await folder.directory.open('a', { create: true });
    file.writeNow(new Uint8Array(4 << 20).fill(1), 0);
    await file.sync();
    const before = (await stat(join(folder.path, 'a'))).blocks;
    expect(file.nextData(1 << 20)).toEqual({ offset: 1 << 20, length: 3 << 20 });
    file.punchHole(0, 4 << 20);
    expect((await stat(join(folder.path, 'a'))).blocks).toBeLessThan(before / 8);
    expect([file.nextData(0), file.nextData(1 << 20)]).toEqual([undefined, undefined]);
    await file.close();
  });

  it('what is dropped from memory is not there any more', async () => {
    const file = await folder.directory.open('a', { create: true });
    const path = join(folder.directory.path, 'a');
    const cached = (): number => Number(spawnSync('fincore', ['--bytes', '--noheadings', '--output', 'RES', path], { encoding: 'utf8' }).stdout);
    file.writeNow(randomBytes(4 << 20), 0);
    await file.sync();
    expect(cached()).toBe(4 << 20);
    file.dropCached();
    const isInMemoryOnly = (await statfs(path)).type === tmpfs;
    expect(cached()).toBe(isInMemoryOnly ? 4 << 20 : 0);
    await file.close();
  });

  const content = randomBytes((3 << 20) + 12_345);
  const written = async (): Promise<DiskFile> => {
    const file = (await folder.directory.open('a', { create: true }));
    file.writeNow(content, 7);
    await file.sync();
    return file;
  };

  it('what is in memory is read at once, also while the thread pool is full', async () => {
    const file = await written();
    const isTold = (await statfs(file.path)).type !== tmpfs;
    const ended: string[] = [];
    const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
    const busy = Array.from({ length: 2 * threads }, () => promisify(pbkdf2)('', '', 1_000_000, 32, 'sha512').then(() => ended.push('thread pool')));
    const into = Buffer.alloc(content.length);
    expect(await file.read(into, 7)).toBe(content.length);
    if (isTold) expect(ended).toEqual([]);
    expect(into.equals(content)).toBe(true);
    await Promise.all(busy);
    const longer = Buffer.alloc(content.length + 100);
    expect(await file.read(longer, 7)).toBe(content.length);
    expect(longer.equals(Buffer.concat([content, Buffer.alloc(100)]))).toBe(true);
    await file.close();
  });

  it('only a read that may wait says where a file ends', async () => {
    const file = await written();
    expect(readFromMemory(file.fd, Buffer.alloc(1), 7 + content.length)).not.toBe(0);
    expect(await file.read(Buffer.alloc(1), 7 + content.length)).toBe(0);
    await file.close();
  });

  it('what is not in memory is read too, and so are both together', async () => {
    const file = await written();
    const into = Buffer.alloc(content.length);
    file.dropCached();
    expect(await file.read(into.subarray(0, 4096), 7)).toBe(4096);
    expect(await file.read(into.subarray(4096), 7 + 4096)).toBe(content.length - 4096);
    expect(into.equals(content)).toBe(true);
    await file.close();
  });

  it('who reads a lot from memory lets others of the thread have their turns', async () => {
    const file = await written();
    const into = Buffer.alloc(content.length);
    let turns = 0;
    let isOver = false;
    const others = (async () => {
      for (; !isOver; turns++) await setImmediate();
    })();
    for (let round = 0; round < 20; round++) await file.read(into, 7);
    isOver = true;
    await others;
    expect(turns).toBeGreaterThan(40);
    await file.close();
  });

  it('long writes, which the kernel gets in pieces, are written whole and in their place, in one part or many', async () => {
    const content = randomBytes((5 << 20) + 12_345);
    const parts = [content.subarray(0, 100), content.subarray(100, 100), content.subarray(100, 3 << 20), content.subarray(3 << 20)];
    const file = await folder.directory.open('a', { create: true });
    file.writeNow(content, 7);
    await file.write(parts, 8 << 20);
    const written = await readFile(join(folder.path, 'a'));
    expect(written.subarray(7, 7 + content.length).equals(content)).toBe(true);
    expect(written.subarray(8 << 20).equals(content)).toBe(true);
    await file.close();
  });

  it('a full disk is reported as such, and as retryable', async () => {
    const full = openFullDevice();
    await expect(full.write([new Uint8Array(4096)], 0)).rejects.toMatchObject({ code: 'storage/no-space', retryable: true });
    expect(() => full.writeNow(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'storage/no-space' }));
    await full.close();
    expect(storageFailure('EIO', { operation: 'x', path: 'y' })).toMatchObject({ code: 'storage/io-error', retryable: false });
  });

  it('opens images, names what is no disk, and reads a read-only one', async () => {
    await writeFile(join(folder.path, 'image'), 'abc');
    const image = openBlockFile(join(folder.path, 'image'), { readOnly: true });
    expect(image.size()).toBe(3);
    expect(() => image.writeNow(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'storage/io-error' }));
    await image.close();
    expect(() => openBlockFile(folder.path, { readOnly: true })).toThrow(expect.objectContaining({ code: 'storage/not-a-disk' }));
    expect(() => openBlockFile(join(folder.path, 'none'))).toThrow(expect.objectContaining({ code: 'storage/not-found' }));
  });

  it('a second user of a data folder is refused with the pid of the first, also from another process, until it is released', () => {
    const lock = lockFolder(folder.path);
    expect(() => lockFolder(folder.path)).toThrow(expect.objectContaining({ code: 'storage/locked', context: expect.objectContaining({ holderPid: String(process.pid) }) }));
    const other = spawnSync('flock', ['-n', lock.path, 'true']);
    expect(other.error ?? other.status).toBe(1);
    lock.release();
    lock.release();
    expect(spawnSync('flock', ['-n', lock.path, 'true']).status).toBe(0);
    lockFolder(folder.path).release();
  });

  it('JSON files are replaced whole and come back as they were', async () => {
    const path = join(folder.path, 'state.json');
    expect(await readJsonFile(path)).toBeUndefined();
    await writeJsonAtomically(path, { a: 1 });
    await writeJsonAtomically(path, { a: [2, 'x'] });
    expect(await readJsonFile(path)).toEqual({ a: [2, 'x'] });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await folder.directory.list()).toEqual(['state.json']);
    await writeFile(path, '{');
    await expect(readJsonFile(path)).rejects.toMatchObject({ code: 'storage/bad-json' });
    expect(await readFile(path, 'utf8')).toBe('{');
  });

  it('makes a data folder with its parents, for its owner only', async () => {
    const made = await openDirectory(join(folder.path, 'x', 'y'));
    expect(made).toBeInstanceOf(DiskDirectory);
    expect((await stat(made.path)).mode & 0o077).toBe(0);
  });
});

describe('clocks', () => {
  it('the clock is the host clock in microseconds', () => {
    const before = Date.now();
    const micros = clockMicros();
    expect(Number.isSafeInteger(micros)).toBe(true);
    expect(micros).toBeGreaterThanOrEqual(before * 1000);
    expect(micros).toBeLessThanOrEqual((Date.now() + 1) * 1000);
  });

  it('the monotonic clock strictly increases while the source stands still or steps back, and follows it forward', () => {
    const times = [100, 100, 50, 200];
    const clock = new MonotonicClock({ after: 99, source: () => times.shift() ?? 0 });
    expect([clock.now(), clock.now(), clock.now(), clock.now(), clock.last]).toEqual([100, 101, 102, 200, 200]);
  });
});

describe('threads that give way', () => {
  it('have the niceness and the slice that they were given', async () => {
    const child = spawn('sleep', ['60']);
    try {
      const pid = child.pid as number;
      setSlice(pid, { niceness: getPriority(pid) + 1, sliceMillis: 50 });
      expect(getPriority(pid)).toBe(getPriority() + 1);
      const [, nanoseconds] = /^se\.slice\s*:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/sched`, 'utf8').catch(() => '')) ?? [];
      if (nanoseconds !== undefined) expect(Number(nanoseconds)).toBe(50_000_000);
    } finally {
      child.kill();
    }
  });
});

/** /dev/full refuses every write with ENOSPC. */
function openFullDevice(): DiskFile {
  return new DiskFile({ fd: openSync('/dev/full', 'r+'), path: '/dev/full' });
}
