// SPDX-License-Identifier: Apache-2.0
// One cut through several volumes. Writes of all of them wait; then one time is chosen that is after every write so far; every volume puts
// its marker at that time and goes on. So whatever an application wrote to one volume because of a write to another stands on the same
// side of the cut or later. A volume on its own chooses the time itself and is cut in one turn, without holding anything.
import type { TimeMicros } from '@secondsite/units';
import type { HostedThread } from '@secondsite/thread-host';
import type { CutReply, CutRequest, VolumeThread } from '../volume/volume-thread';

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
    const times = await all(volumes.map(({ thread }) => thread.call('hold', undefined)));
    const time = Math.max(now(), ...times) + 1;
    const replies = await all(volumes.map(({ thread }) => thread.call('cut', { ...bookmark, time })));
    const cuts = replies.map((reply, index) => ({ ...reply, volumeId: volumes[index]?.volumeId ?? '' }));
    return { time, heldMillis: Math.max(...cuts.map((cut) => cut.heldMillis)), cuts };
  } catch (error) {
    await Promise.allSettled(volumes.map(({ thread }) => thread.call('release', undefined)));
    throw error;
  }
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
