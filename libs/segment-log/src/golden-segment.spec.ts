// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName } from './record-format';
import { SegmentLog } from './segment-log';
import { goldenRecords } from './testing';

const goldenFile = join(__dirname, 'testing', 'golden', 'segment-v1.hex');

async function writtenNow(): Promise<Buffer> {
  const { root } = new CrashableStorage();
  const log = await SegmentLog.open(root);
  for (const record of goldenRecords) await log.append(record);
  await log.close();
  const file = await root.open(segmentName(1));
  const bytes = Buffer.alloc(file.size());
  file.readNow(bytes, 0);
  return bytes;
}

describe('the format of version 1', () => {
  const golden = (): Buffer => Buffer.from(readFileSync(goldenFile, 'utf8').replaceAll('\n', ''), 'hex');

  it('is what is written today', async () => {
    expect((await writtenNow()).toString('hex')).toBe(golden().toString('hex'));
  });

  it('is read for ever', async () => {
    const { root } = new CrashableStorage();
    const file = await root.open(segmentName(1), { create: true });
    file.writeNow(golden(), 0);
    const log = await SegmentLog.open(root);
    expect(log.records().map(({ key }) => key)).toEqual(goldenRecords.map(({ key }) => key));
    const payloads = await Promise.all(log.records().map(({ position }) => log.read(position)));
    expect(payloads.map(String)).toEqual(goldenRecords.map(({ parts }) => Buffer.concat(parts).toString()));
  });
});
