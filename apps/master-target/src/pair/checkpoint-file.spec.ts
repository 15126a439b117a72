// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { CrashableStorage, seededRandom } from '@secondsite/durable-storage/testing';
import { type Checkpoint, CheckpointFile } from './checkpoint-file';

function checkpointAt(sequence: number): Checkpoint {
  return { applied: { epoch: 1, sequence, lastTime: sequence, green: true, everGreen: true }, endedEpochs: [] };
}

describe('the checkpoint file', () => {
  it('makes durable what it finds on opening, which a killed process may have left in the page cache', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const storage = new CrashableStorage();
      const file = await CheckpointFile.open(storage.root);
      await file.write(checkpointAt(1));
      storage.fault = ({ kind }) => (kind === 'sync' ? 'io-error' : undefined);
      await expect(file.write(checkpointAt(2))).rejects.toMatchObject({ code: 'storage/io-error' });
      storage.fault = undefined;
      const found = (await CheckpointFile.open(storage.root)).current;
      expect(found).toEqual(checkpointAt(2));
      storage.crash(seededRandom(seed));
      expect((await CheckpointFile.open(storage.root)).current).toEqual(found);
    }
  });
});
