// SPDX-License-Identifier: Apache-2.0
import type * as jestGlobals from '@jest/globals';
import { isOperationError } from '@secondsite/units';
import type { StorageDirectory } from '../storage-port';

export interface StorageUnderTest {
  readonly directory: StorageDirectory;
  dispose(): Promise<void>;
}

/** Of the test runner; handed in because what stands beside this file is used without one too. */
export type TestRunner = Pick<typeof jestGlobals, 'afterEach' | 'beforeEach' | 'describe' | 'expect' | 'it'>;

/** What every implementation of the storage port must do. Call it at the top level of a spec. */
export function describeStorageContract(name: string, make: () => Promise<StorageUnderTest>, runner: TestRunner): void {
  const { afterEach, beforeEach, describe } = runner;
  describe(`storage port: ${name}`, () => {
    let storage: StorageUnderTest;
    const directory = (): StorageDirectory => storage.directory;
    beforeEach(async () => {
      storage = await make();
    });
    afterEach(() => storage.dispose());
    describeReadingAndWriting(directory, runner);
    describeHoles(directory, runner);
    describeCache(directory, runner);
    describeFolders(directory, runner);
  });
}

function describeReadingAndWriting(directory: () => StorageDirectory, { expect, it }: TestRunner): void {
  it('reads back what was written, by either way of writing, up to the end of the file', async () => {
    const file = await directory().open('a', { create: true });
    file.writeNow(bytes('hello'), 3);
    await file.write([bytes('wor'), bytes(''), bytes('ld')], 8);
    expect(file.size()).toBe(13);
    const into = new Uint8Array(20);
    expect(file.readNow(into, 3)).toBe(10);
    expect(text(into.subarray(0, 10))).toBe('helloworld');
    expect(await file.read(into, 12)).toBe(1);
    expect(await file.read(into, 13)).toBe(0);
    expect(file.readNow(into, 999)).toBe(0);
    expect(await file.read(into.fill(7), 0)).toBe(13);
    expect([...into.subarray(0, 3)]).toEqual([0, 0, 0]);
    await file.close();
  });

  it('keeps the content over close and open, and shares it between two handles', async () => {
    const first = await directory().open('a', { create: true });
    first.writeNow(bytes('one'), 0);
    const second = await directory().open('a');
    expect(second.size()).toBe(3);
    second.writeNow(bytes('two!'), 0);
    expect(first.size()).toBe(4);
    await first.sync();
    second.syncNow();
    await Promise.all([first.close(), second.close()]);
    await first.close();
    expect(await contentOf(directory(), 'a')).toBe('two!');
  });

  it('writes many parts at once in their order', async () => {
    const file = await directory().open('a', { create: true });
    const parts = Array.from({ length: 3000 }, (_, index) => bytes(String(index % 10)));
    await file.write(parts, 0);
    await file.close();
    expect(await contentOf(directory(), 'a')).toBe('0123456789'.repeat(300));
  });

  it('forgets what was cut off by a truncation', async () => {
    const file = await directory().open('a', { create: true });
    file.writeNow(bytes('secret'), 0);
    await file.truncate(2);
    await file.truncate(4);
    expect(file.size()).toBe(4);
    await file.close();
    expect(await contentOf(directory(), 'a')).toBe('se\0\0');
  });
}

function describeCache(directory: () => StorageDirectory, { expect, it }: TestRunner): void {
  it('keeps every byte, durable or not, when what is cached is dropped', async () => {
    const file = await directory().open('a', { create: true });
    file.writeNow(bytes('durable'), 0);
    await file.sync();
    file.writeNow(bytes(' and not'), 7);
    file.dropCached();
    await file.close();
    expect(await contentOf(directory(), 'a')).toBe('durable and not');
  });
}

function describeHoles(directory: () => StorageDirectory, { expect, it }: TestRunner): void {
  it('reads punched ranges as zeros, keeps what is round them and never changes the size', async () => {
    const file = await directory().open('a', { create: true });
    file.writeNow(new Uint8Array(20_000).fill(1), 0);
    file.punchHole(100, 10_000);
    file.punchHole(19_999, 10_000);
    file.punchHole(50_000, 10);
    expect(file.size()).toBe(20_000);
    const into = new Uint8Array(20_000);
    file.readNow(into, 0);
    const expected = new Uint8Array(20_000).fill(1).fill(0, 100, 10_100).fill(0, 19_999);
    expect(Buffer.compare(into, expected)).toBe(0);
    await file.close();
  });

  it('never hides data when it lists data ranges, and finds none in a file that is one hole', async () => {
    const file = await directory().open('a', { create: true });
    await file.truncate(1 << 20);
    expect(file.nextData(0)).toBeUndefined();
    file.writeNow(bytes('x'), 300_000);
    const range = file.nextData(0);
    expect(range).toBeDefined();
    expect(range?.offset).toBeLessThanOrEqual(300_000);
    expect((range?.offset ?? 0) + (range?.length ?? 0)).toBeGreaterThan(300_000);
    expect(file.nextData(300_000)?.offset).toBe(300_000);
    expect(file.nextData(1 << 20)).toBeUndefined();
    await file.close();
  });

  it('lists data that was written, and no data that was cut off, since it was asked last', async () => {
    const file = await directory().open('a', { create: true });
    await file.truncate(1 << 20);
    file.writeNow(bytes('x'.repeat(8192)), 600 << 10);
    expect(file.nextData(0)?.offset).toBe(600 << 10);
    file.writeNow(bytes('x'.repeat(8192)), 100 << 10);
    expect(file.nextData(0)?.offset).toBe(100 << 10);
    file.writeNow(bytes('x'.repeat(8192)), 108 << 10);
    expect(file.nextData(108 << 10)?.offset).toBe(108 << 10);
    expect(file.nextData(102 << 10)?.offset).toBe(102 << 10);
    await file.truncate(104 << 10);
    expect(file.nextData(102 << 10)).toEqual({ offset: 102 << 10, length: 2 << 10 });
    await file.truncate(0);
    expect(file.nextData(0)).toBeUndefined();
    await file.close();
  });
}

function describeFolders(directory: () => StorageDirectory, { expect, it }: TestRunner): void {
  it('makes a missing file only when told to', async () => {
    await expect(directory().open('a')).rejects.toMatchObject({ code: 'storage/not-found' });
    await (await directory().open('a', { create: true })).close();
    expect(await directory().list()).toEqual(['a']);
  });

  it('replaces the target of a rename and leaves open handles on their file', async () => {
    for (const name of ['a', 'b']) {
      const file = await directory().open(name, { create: true });
      file.writeNow(bytes(name), 0);
      await file.close();
    }
    const old = await directory().open('b');
    await directory().rename('a', 'b');
    await directory().sync();
    expect(await directory().list()).toEqual(['b']);
    expect(await contentOf(directory(), 'b')).toBe('a');
    const into = new Uint8Array(1);
    old.readNow(into, 0);
    expect(text(into)).toBe('b');
    await old.close();
  });

  it('refuses to remove or rename what is not there', async () => {
    await expect(directory().remove('a')).rejects.toMatchObject({ code: 'storage/not-found' });
    const failure = await directory().rename('a', 'b').catch((error: unknown) => error);
    expect(isOperationError(failure, 'storage/not-found')).toBe(true);
  });

  it('keeps sub-folders apart and gives the same one each time', async () => {
    const below = await directory().directory('below');
    await (await below.open('a', { create: true })).close();
    expect(await directory().list()).toEqual([]);
    expect(await (await directory().directory('below')).list()).toEqual(['a']);
    await below.remove('a');
    expect(await below.list()).toEqual([]);
    expect(await directory().freeBytes()).toBeGreaterThan(0);
  });
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

async function contentOf(directory: StorageDirectory, name: string): Promise<string> {
  const file = await directory.open(name);
  const into = new Uint8Array(file.size());
  await file.read(into, 0);
  await file.close();
  return text(into);
}
