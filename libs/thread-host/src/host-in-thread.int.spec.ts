// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { OperationError } from '@secondsite/units';
import { compiledWorker } from './compiled-worker';
import { type HostedThread, type HostOptions, hostInThread } from './host-in-thread';
import type { SampleData, SampleThread } from './testing/sample.worker';

const workerFile = compiledWorker(`${__dirname}/testing`, 'sample.worker');
const started: HostedThread<SampleThread>[] = [];

async function startSample(data: SampleData = {}, options?: HostOptions<SampleThread>): Promise<HostedThread<SampleThread>> {
  const thread = await hostInThread<SampleThread>(workerFile, data, options);
  started.push(thread);
  return thread;
}

afterEach(async () => {
  await Promise.allSettled(started.splice(0).map((thread) => thread.close()));
});

describe('a hosted thread', () => {
  it('answers requests, each with its own reply', async () => {
    const thread = await startSample();
    const sums = await Promise.all([1, 2, 3].map((a) => thread.call('add', { a, b: 10 })));
    expect(sums).toEqual([11, 12, 13]);
  });

  it('moves memory to the worker and back without a copy', async () => {
    const thread = await startSample();
    const memory = new ArrayBuffer(1024);
    const back = await thread.call('touch', memory, [memory]);
    expect(memory.byteLength).toBe(0);
    expect(new Uint8Array(back)[0]).toBe(1);
    expect(back.byteLength).toBe(1024);
  });

  it('sends events both ways and misses none from the start', async () => {
    const seen: number[] = [];
    const thread = await startSample({}, { events: { counted: (value) => seen.push(value) } });
    const heard = new Promise<number>((resolve) => thread.on('counted', resolve));
    thread.notify('count', 42);
    expect(await heard).toBe(42);
    expect(seen).toEqual([0, 42]);
  });

  it('rebuilds an OperationError with all its fields', async () => {
    const thread = await startSample();
    const error = await thread.call('failKnown', undefined).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OperationError);
    expect(error).toMatchObject({ code: 'storage/no-space', operation: 'write sample', context: { freeBytes: 7 }, retryable: true, hint: 'Free some space.' });
    expect((error as OperationError).cause).toMatchObject({ message: 'no space left', code: 'ENOSPC' });
  });

  it('keeps name, message and stack of any other error', async () => {
    const thread = await startSample();
    const error = await thread.call('failUnknown', undefined).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'TypeError', message: 'surprise', stack: expect.stringContaining('sample.worker') });
  });

  it('fails every pending and later call when the thread dies', async () => {
    const thread = await startSample();
    const pending = thread.call('never', undefined);
    const crash = thread.call('crash', undefined);
    await expect(pending).rejects.toMatchObject({ code: 'thread/died', message: expect.stringContaining('bug in the worker') });
    await expect(crash).rejects.toMatchObject({ code: 'thread/died' });
    expect(await thread.exited).toMatchObject({ kind: 'died', error: { code: 'thread/died' } });
    await expect(thread.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ code: 'thread/died' });
  });

  it('rejects with the error of a failed start, and with one for a missing file', async () => {
    await expect(startSample({ failAtStart: true })).rejects.toMatchObject({ code: 'storage/no-space', operation: 'open sample' });
    await expect(hostInThread(`${workerFile}.missing`, {})).rejects.toMatchObject({ code: 'thread/died' });
  });

  it('runs the close handler before the thread stops, once', async () => {
    const seen: number[] = [];
    const thread = await startSample({}, { events: { counted: (value) => seen.push(value) } });
    const pending = thread.call('never', undefined);
    const failure = expect(pending).rejects.toMatchObject({ code: 'thread/closed' });
    await Promise.all([thread.close(), thread.close()]);
    await failure;
    expect(seen).toEqual([0, -1]);
    expect(await thread.exited).toEqual({ kind: 'closed' });
    await expect(thread.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ code: 'thread/closed' });
  });

  it('reports a close handler that fails, and still stops the thread', async () => {
    const thread = await startSample({ failAtClose: true });
    await expect(thread.close()).rejects.toMatchObject({ code: 'storage/no-space', operation: 'flush sample' });
    expect(await thread.exited).toEqual({ kind: 'closed' });
  });
});

describe('compiledWorker', () => {
  it('names the compiled file for callers in source and in compiled folders', () => {
    expect(compiledWorker('/src/app/src/pair', 'pair.worker')).toBe('/src/app/dist/pair/pair.worker.js');
    expect(compiledWorker('/app/src', 'pair.worker')).toBe('/app/dist/pair.worker.js');
    expect(compiledWorker('/app/dist/pair', 'pair.worker')).toBe('/app/dist/pair/pair.worker.js');
  });
});
