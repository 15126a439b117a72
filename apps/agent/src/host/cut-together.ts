// SPDX-License-Identifier: Apache-2.0
// One cut through several volumes. Writes of all of them wait; then one time is chosen that is after every write so far; every volume puts
// its marker at that time and goes on. So whatever an application wrote to one volume because of a write to another stands on the same
// side of the cut or later. A volume on its own chooses the time itself and is cut in one turn, without holding anything. Writes shall wait for
// less than 10 ms: when one volume is slow to hold, all are let go and it is tried again a moment later.
import type { BookmarkMarker } from '@secondsite/change-set';
import type { TimeMicros } from '@secondsite/units';
import type { HostedThread } from '@secondsite/thread-host';
import { setTimeout as delay } from 'node:timers/promises';
import type { CutReply, VolumeThread } from '../volume/volume-thread';

/** Holding all may take so long; the cut itself needs about as long again. */
const HOLDING_MILLIS_MAX = 4;
/** The last try goes on however long it takes: a bookmark that is never made helps nobody. */
const TRIES = 6;
const PAUSE_MILLIS = 15;
/** A volume lets go by itself after so long. */
const LIMIT_MILLIS = 500;

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

/** Volumes that hold their writes. */
export interface HeldVolumes {
  readonly holdId: string;
  readonly volumes: readonly VolumeToCut[];
  /** The newest time in any of their streams. */
  readonly lastTime: TimeMicros;
}

/** Throws the first volume's failure; all volumes go on then too. */
export async function cutTogether(volumes: readonly VolumeToCut[], bookmark: BookmarkMarker, now: () => TimeMicros): Promise<TogetherCut> {
  const [first, ...others] = volumes;
  if (first && others.length === 0) return cutAlone(first, bookmark);
  return cutHeld(await holdQuickly(volumes, bookmark.bookmarkId), bookmark, now);
}

/** No write is added to any of the volumes until it is cut or let go, or has held for `limitMillis`. Lets all go when one cannot. */
export async function holdTogether(volumes: readonly VolumeToCut[], { holdId, limitMillis }: { readonly holdId: string; readonly limitMillis: number }): Promise<HeldVolumes> {
  try {
    const times = await all(volumes.map(({ thread }) => thread.call('hold', { holdId, limitMillis })));
    return { holdId, volumes, lastTime: Math.max(...times) };
  } catch (error) {
    await releaseTogether({ holdId, volumes });
    throw error;
  }
}

/** Cuts all at one time and lets them go, also when one fails: it may have let go by itself. */
export async function cutHeld(held: HeldVolumes, bookmark: BookmarkMarker, now: () => TimeMicros): Promise<TogetherCut> {
  const { holdId, volumes, lastTime } = held;
  const time = Math.max(now(), lastTime) + 1;
  try {
    const replies = await all(volumes.map(({ thread }) => thread.call('cut', { holdId, bookmark, time })));
    const cuts = replies.map((reply, index) => ({ ...reply, volumeId: volumes[index]?.volumeId ?? '' }));
    return { time, heldMillis: Math.max(...cuts.map((cut) => cut.heldMillis)), cuts };
  } catch (error) {
    await releaseTogether(held);
    throw error;
  }
}

export async function releaseTogether({ holdId, volumes }: Omit<HeldVolumes, 'lastTime'>): Promise<void> {
  await Promise.allSettled(volumes.map(({ thread }) => thread.call('release', holdId)));
}

async function holdQuickly(volumes: readonly VolumeToCut[], holdId: string): Promise<HeldVolumes> {
  for (let tried = 1; ; tried++) {
    const started = performance.now();
    const held = await holdTogether(volumes, { holdId, limitMillis: LIMIT_MILLIS });
    if (performance.now() - started <= HOLDING_MILLIS_MAX || tried === TRIES) return held;
    await releaseTogether(held);
    await delay(PAUSE_MILLIS);
  }
}

async function cutAlone({ volumeId, thread }: VolumeToCut, bookmark: BookmarkMarker): Promise<TogetherCut> {
  const { time, ...cut } = await thread.call('cutAlone', bookmark);
  return { time, heldMillis: cut.heldMillis, cuts: [{ ...cut, volumeId }] };
}

/** Waits for every one, then throws the first failure, so that nothing goes on behind the caller's back. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
