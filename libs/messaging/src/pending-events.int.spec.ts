// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { changeSetAppliedV2, type CloudEvent, hostAddedV1 } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PendingEvents } from './pending-events';

const added = (hostId: string): CloudEvent => sampleEvent(hostAddedV1, { hostId, name: 'orders' });
const pairId = '5b1c7a52-3a52-4a2e-9a41-0d4b6f0e9c11';
const time = '2026-11-21T22:50:32.000001Z';
const applied = (sequence: number): CloudEvent => sampleEvent(changeSetAppliedV2, { pairId, epoch: 1, sequence, coveredTime: time, appliedAt: time });

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pending-'));
  file = join(folder, 'pending.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function drain(events: PendingEvents): Promise<string[]> {
  const subjects: string[] = [];
  for (let event = events.first(); event; event = events.first()) {
    subjects.push(event.subject);
    await events.remove(event.id);
  }
  return subjects;
}

async function reopen(events: PendingEvents): Promise<PendingEvents> {
  await events.close();
  return PendingEvents.open({ file });
}

describe('pending events', () => {
  it('are there in order after a restart, without those that were published', async () => {
    const first = await PendingEvents.open({ file });
    await Promise.all(['a', 'b', 'c'].map((hostId) => first.add(added(hostId))));
    await first.remove(first.first()?.id ?? '');
    const reopened = await reopen(first);
    expect(await drain(reopened)).toEqual(['b', 'c']);
    const last = await reopen(reopened);
    expect(last.size).toBe(0);
    await last.close();
  });

  it('survive a torn last line, and go on behind it', async () => {
    const first = await PendingEvents.open({ file });
    await first.add(added('a'));
    appendFileSync(file, '+{"specversion":"1.0","id":"tor');
    const second = await reopen(first);
    await second.add(added('b'));
    const third = await reopen(second);
    expect(await drain(third)).toEqual(['a', 'b']);
    await third.close();
  });

  it('keep only the newest of a frequent fact, also over a restart', async () => {
    const events = await PendingEvents.open({ file });
    for (let sequence = 1; sequence <= 50; sequence += 1) await events.add(applied(sequence), { replacesOlder: true });
    await events.add(added('a'));
    expect(events.size).toBe(2);
    const reopened = await reopen(events);
    expect(reopened.first()?.data['sequence']).toBe(50);
    expect(reopened.size).toBe(2);
    await reopened.close();
  });

  it('refuse what exceeds their bound and stay small on disk', async () => {
    const events = await PendingEvents.open({ file, bytesMax: 2_000 });
    await events.add(added('a'));
    await expect((async () => { for (let n = 0; n < 10; n += 1) await events.add(added('b')); })()).rejects.toMatchObject({ code: 'bus/outbox-full', retryable: true });
    await drain(events);
    for (let n = 0; n < 2_400; n += 1) {
      await events.add(added('c'));
      await drain(events);
    }
    expect(statSync(file).size).toBeLessThan(1_200_000);
    expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true);
    await events.close();
  });
});
