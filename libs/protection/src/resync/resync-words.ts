// SPDX-License-Identifier: Apache-2.0
import { resyncCauseWords } from '@secondsite/contracts';
import type { Fact } from '../fact';
import { formatBytes } from '../live/data-in-transit';

type Chosen = Omit<Fact<'replication.resync-chosen.v1'>['data'], 'pairId' | 'epoch'>;

/** What a pair chose and why, as one sentence without its full stop. */
export function resyncWords(chosen: Chosen): string {
  const why = chosen.detail === undefined ? resyncCauseWords[chosen.cause] : `${resyncCauseWords[chosen.cause]} (${chosen.detail})`;
  return `${workInWords(chosen)}, because ${why}`;
}

function workInWords({ work, resyncBytes, volumeBytes }: Chosen): string {
  const amount = `${formatBytes(Math.min(resyncBytes, volumeBytes))} of ${formatBytes(volumeBytes)}`;
  switch (work) {
    case 'nothing':
      return 'nothing has to be read again';
    case 'regions':
      return `dirty regions are read again, ${amount}`;
    case 'whole':
      return resyncBytes < volumeBytes ? `the rest of the whole volume is read, ${amount}` : `the whole volume is read, ${formatBytes(volumeBytes)}`;
  }
}
