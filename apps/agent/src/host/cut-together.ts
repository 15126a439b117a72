// SPDX-License-Identifier: Apache-2.0
// One cut through several volumes. Writes of all of them wait; then one time is chosen that is after every write so far; every volume puts
// its marker at that time and goes on. So whatever an application wrote to one volume because of a write to another stands on the same
// side of the cut or later. A volume on its own chooses the time itself and is cut in one turn, without holding anything. Writes shall wait for
// less than 10 ms: when one volume is slow to hold, all are let go and it is tried again a moment later.
import type { TimeMicros } from '@secondsite/units';
import type { HostedThread } from '@secondsite/thread-host';
import { setTimeout as delay } from 'node:timers/promises';
import type { CutReply, CutRequest, VolumeThread } from '../volume/volume-thread';

/** Holding all may take so long; the cut itself needs about as long again. */
const HOLDING_MILLIS_MAX = 4;
/** The last try goes on however long it takes: a bookmark that is never made helps nobody. */
const TRIES = 6;
const PAUSE_MILLIS = 15;

export interface VolumeToCut {
  readonly volumeId: string;
  readonly thread: Pick<HostedThread<VolumeThread>, 'call'>;
}

export interface TogetherCut {
  readonly time: TimeMicros;
  /** The longest that writes of one of the volumes waited. */
  readonly heldMillis: number;
  readonly cuts: readonly (CutReply & { readonly volumeId: string })[];
}

/** Throws the first volume's failure; all volumes go on then too. */
export async function cutTogether(volumes: readonly VolumeToCut[], bookmark: Omit<CutRequest, 'time'>, now: () => TimeMicros): Promise<TogetherCut> {
  const [first, ...others] = volumes;
  if (first && others.length === 0) return cutAlone(first, bookmark);
  try {
    const times = await holdAll(volumes);
    const time = Math.max(now(), ...times) + 1;
    const replies = await all(volumes.map(({ thread }) => thread.call('cut', { ...bookmark, time })));
    const cuts = replies.map((reply, index) => ({ ...reply, volumeId: volumes[index]?.volumeId ?? '' }));
    return { time, heldMillis: Math.max(...cuts.map((cut) => cut.heldMillis)), cuts };
  } catch (error) {
    await releaseAll(volumes);
    throw error;
  }
}

/** The newest time in each volume's stream; no write is added to any of them until it is cut or let go. */
async function holdAll(volumes: readonly VolumeToCut[]): Promise<TimeMicros[]> {
  for (let tried = 1; ; tried++) {
    const started = performance.now();
    const times = await all(volumes.map(({ thread }) => thread.call('hold', undefined)));
    if (performance.now() - started <= HOLDING_MILLIS_MAX || tried === TRIES) return times;
    await releaseAll(volumes);
    await delay(PAUSE_MILLIS);
  }
}

async function releaseAll(volumes: readonly VolumeToCut[]): Promise<void> {
  await Promise.allSettled(volumes.map(({ thread }) => thread.call('release', undefined)));
}

async function cutAlone({ volumeId, thread }: VolumeToCut, bookmark: Omit<CutRequest, 'time'>): Promise<TogetherCut> {
  const { time, ...cut } = await thread.call('cutAlone', bookmark);
  return { time, heldMillis: cut.heldMillis, cuts: [{ ...cut, volumeId }] };
}

/** Waits for every one, then throws the first failure, so that nothing goes on behind the caller's back. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
