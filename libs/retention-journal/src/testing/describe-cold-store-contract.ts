// SPDX-License-Identifier: Apache-2.0
import type * as jestGlobals from '@jest/globals';
import type { ColdObject, ColdStore } from '../cold-store';

/** Of the test runner; handed in because what stands beside this file is used without one too. */
type TestRunner = Pick<typeof jestGlobals, 'afterEach' | 'beforeEach' | 'describe' | 'expect' | 'it'>;

export interface ColdStoreUnderTest {
  /** Empty; its listings have several pages from ten objects on. */
  readonly store: ColdStore;
  dispose(): Promise<void>;
}

/** What every implementation of the ColdStore port must do. Call it at the top level of a spec. */
export function describeColdStoreContract(name: string, make: () => Promise<ColdStoreUnderTest>, { afterEach, beforeEach, describe, expect, it }: TestRunner): void {
  describe(`cold store port: ${name}`, () => {
    let made: ColdStoreUnderTest;
    let store: ColdStore;
    beforeEach(async () => {
      made = await make();
      store = made.store;
    });
    afterEach(() => made.dispose());

    it('reads any range of what was put, fewer bytes only where the object ends', async () => {
      const content = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
      await store.put('a/pair/segment.1/000000', content);
      const read = async (offset: number, length: number): Promise<Buffer> => Buffer.from(await store.read('a/pair/segment.1/000000', { offset, length }));
      expect((await read(0, content.length)).equals(content)).toBe(true);
      expect((await read(1000, 70_000)).equals(content.subarray(1000, 71_000))).toBe(true);
      expect((await read(299_990, 4096)).equals(content.subarray(299_990))).toBe(true);
    });

    it('says that an object is not there', async () => {
      await expect(store.read('a/none', { offset: 0, length: 10 })).rejects.toMatchObject({ code: 'cold-store/not-found', retryable: false });
    });

    it('lists what begins with a prefix, all of it and nothing else, with sizes', async () => {
      const names = Array.from({ length: 10 }, (_, index) => `a/p1/s.${index}/000000`);
      for (const [index, name] of [...names, 'a/p10/s.0/000000', 'b/p1/s.0/000000'].entries()) await store.put(name, new Uint8Array(index + 1));
      expect((await listed(store, 'a/p1/')).sort((left, right) => left.bytes - right.bytes)).toEqual(names.map((name, index) => ({ name, bytes: index + 1 })));
      expect(await listed(store, 'a/p1/s.3/')).toEqual([{ name: names[3], bytes: 4 }]);
      expect(await listed(store, 'c/')).toEqual([]);
    });

    it('removes many at once, also such as are not there', async () => {
      const names = Array.from({ length: 10 }, (_, index) => `a/${index}`);
      for (const name of names) await store.put(name, Uint8Array.of(1));
      await store.remove([...names.slice(1), 'a/none']);
      expect(await listed(store, 'a/')).toEqual([{ name: 'a/0', bytes: 1 }]);
      await store.remove([]);
      await store.remove(names);
      expect(await listed(store, 'a/')).toEqual([]);
    });

    it('cannot be reached once it is closed', async () => {
      await store.put('a/1', Uint8Array.of(1));
      store.close();
      for (const use of [store.put('a/2', Uint8Array.of(1)), store.read('a/1', { offset: 0, length: 1 }), listed(store, 'a/'), store.remove(['a/1'])]) {
        await expect(use).rejects.toMatchObject({ code: 'cold-store/unreachable' });
      }
    });
  });
}

async function listed(store: ColdStore, prefix: string): Promise<ColdObject[]> {
  const objects: ColdObject[] = [];
  for await (const page of store.list(prefix)) objects.push(...page);
  return objects;
}
