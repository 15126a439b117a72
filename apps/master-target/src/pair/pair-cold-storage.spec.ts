// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { CrashableStorage, seededRandom } from '@secondsite/durable-storage/testing';
import { MemoryColdStore } from '@secondsite/retention-journal/testing';
import { compressZstd } from '@secondsite/zstd';
import { PairDriver } from '../testing/pair-driver';
import { ViewDevice } from '../views/view-device';
import { overlayNames, WriteOverlay } from '../views/write-overlay';
import { TargetPair } from './target-pair';

interface Scene {
  readonly storage: CrashableStorage;
  readonly driver: PairDriver;
  readonly store: MemoryColdStore;
  readonly pair: TargetPair;
}

let tokens = 0;

async function openScene(seed: number): Promise<Scene> {
  const [storage, driver, store] = [new CrashableStorage(), new PairDriver(seededRandom(seed)), new MemoryColdStore()];
  const cold = { store, folder: `mt-1/${driver.history.pairId}`, policy: { afterMicros: 600, aboveShare: 1 }, compress: compressZstd, newToken: () => `token-${tokens++}`, cacheBytesMax: 1 };
  const pair = await TargetPair.open({ ...driver.options(storage.root), cold });
  pair.start();
  return { storage, driver, store, pair };
}

/** Sends until it is so; work beside applying goes on with what is applied. */
async function sendUntil({ driver, pair }: Scene, isSo: () => boolean): Promise<void> {
  for (let sent = 0; !isSo(); sent++) {
    if (sent > 400) throw new Error('it did not happen');
    await driver.send(pair, 1);
    await pair.idle();
  }
}

/** Instants of which a view needs the store. */
function coldTimes({ pair, driver }: Scene): number[] {
  return driver.history.interestingTimes().filter((time) => time < pair.journal.localFrom && pair.points().isOffered(time));
}

async function readAll({ device, bytes }: { readonly device: ViewDevice; readonly bytes: number }): Promise<Buffer> {
  const into = Buffer.alloc(bytes, 0xee);
  await device.read(into, 0);
  return into;
}

describe('a pair with a cold store', () => {
  it('serves old points from it, also to writable views, and says how much is where', async () => {
    const scene = await openScene(41);
    const { pair, driver, storage } = scene;
    await sendUntil(scene, () => coldTimes(scene).length > 20);
    expect(pair.status().cold).toMatchObject({ bytes: pair.journal.coldBytes, localFrom: pair.journal.localFrom, trouble: undefined });
    const sizeBytes = driver.history.volumeBytes;
    for (const time of coldTimes(scene).slice(0, 5)) {
      const image = Buffer.from(driver.history.at(time)?.image as Uint8Array);
      const reader = await pair.openReader(time);
      expect((await readAll({ device: new ViewDevice({ sizeBytes, reader }), bytes: sizeBytes })).equals(image)).toBe(true);
      const overlay = await WriteOverlay.open(await storage.root.directory('views'), overlayNames(`view-${time}`), sizeBytes);
      const device = new ViewDevice({ sizeBytes, reader, overlay });
      const written = Buffer.alloc(3000, 0x5a);
      await device.write(5000, [written], { fua: false });
      written.copy(image, 5000);
      expect((await readAll({ device, bytes: sizeBytes })).equals(image)).toBe(true);
      pair.closeReader(reader);
    }
    await pair.close();
  });

  it('gets nothing while the pair is copied to another master target, and keeps a pair there that has something in it', async () => {
    const scene = await openScene(43);
    const { pair, driver } = scene;
    const begin = () => pair.departure.answer(Buffer.from(JSON.stringify({ ask: 'begin', placement: 1 })), 1);
    expect((await begin()).kind).toBe('copied');
    for (let sent = 0; sent < 120; sent++) {
      await driver.send(pair, 1);
      await pair.idle();
    }
    expect([pair.journal.coldBytes, pair.journal.cold?.moving]).toEqual([0, undefined]);
    pair.departure.atHome(1);
    await sendUntil(scene, () => pair.journal.coldBytes > 0);
    expect(await begin()).toMatchObject({ kind: 'refused', code: 'move/cold-segments', hint: expect.stringContaining('Shorten the window') });
    expect(pair.failed).toBe(false);
    await pair.close();
  });

  it('goes on applying while it fails, tells that once for moving and once for views, and tells when it works again', async () => {
    const scene = await openScene(42);
    const { pair, driver, store } = scene;
    await sendUntil(scene, () => coldTimes(scene).length > 0);
    store.fault = () => 'unreachable';
    const [time] = coldTimes(scene) as [number];
    const reader = await pair.openReader(time);
    const told = () => driver.events.flatMap((event) => (event.kind === 'cold-store-failed' || event.kind === 'cold-store-recovered' ? [`${event.kind} ${event.affects}`] : []));
    for (let attempt = 0; attempt < 2; attempt++) await expect(reader.read(Buffer.alloc(driver.history.volumeBytes), 0)).rejects.toMatchObject({ code: 'cold-store/unreachable' });
    await sendUntil(scene, () => told().includes('cold-store-failed moving') && (pair.status().cold?.waitingBytes ?? 0) > 60_000);
    expect(told().sort()).toEqual(['cold-store-failed moving', 'cold-store-failed views']);
    expect(pair.status().cold?.trouble).toMatchObject({ code: 'cold-store/unreachable' });
    store.fault = undefined;
    await sendUntil(scene, () => pair.status().cold?.waitingBytes === 0 && told().includes('cold-store-recovered moving'));
    const into = Buffer.alloc(driver.history.volumeBytes);
    await reader.read(into, 0);
    expect(into.equals(driver.history.at(time)?.image as Uint8Array)).toBe(true);
    expect(told().slice(2).sort()).toEqual(['cold-store-recovered moving', 'cold-store-recovered views']);
    await pair.close();
  });

  it('ends without waiting for a store that does not answer', async () => {
    const scene = await openScene(43);
    const { pair, store } = scene;
    await sendUntil(scene, () => store.objects.size > 0);
    const asked = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<never>();
    store.put = () => {
      asked.resolve();
      return ended.promise;
    };
    store.close = () => ended.reject(Object.assign(new Error('closed'), { code: 'cold-store/unreachable', hint: '', retryable: true }));
    let isAsked = false;
    void asked.promise.then(() => (isAsked = true));
    await sendUntil(scene, () => isAsked);
    await pair.close();
  });
});
