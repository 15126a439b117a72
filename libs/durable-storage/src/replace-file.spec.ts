// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readWholeFile, replaceFile } from './replace-file';
import { crashHistories, CrashableStorage } from './testing';

describe('replacing a file', () => {
  it('gives back the content, and nothing where there is no file', async () => {
    const { root } = new CrashableStorage();
    expect(await readWholeFile(root, 'state')).toBeUndefined();
    await replaceFile(root, 'state', Buffer.from('a longer one'));
    await replaceFile(root, 'state', Buffer.from('short'));
    expect(Buffer.from((await readWholeFile(root, 'state')) ?? []).toString()).toBe('short');
  });

  it('leaves the last promised content or the one under way, whole, at any cut', async () => {
    await crashHistories({
      histories: 300,
      rounds: 3,
      model: () => ({ promised: 0 }),
      run: async ({ storage, model }) => {
        for (let value = model.promised + 1; value < 15; value += 1) {
          await replaceFile(storage.root, 'state', new Uint8Array(700 + value).fill(value));
          model.promised = value;
        }
      },
      check: async ({ storage, model }) => {
        const content = (await readWholeFile(storage.root, 'state')) ?? new Uint8Array(0);
        const value = content[0] ?? 0;
        expect([model.promised, model.promised + 1]).toContain(value);
        expect(content).toEqual(new Uint8Array(value === 0 ? 0 : 700 + value).fill(value));
        model.promised = value;
      },
    });
  });
});
