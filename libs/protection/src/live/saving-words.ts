// SPDX-License-Identifier: Apache-2.0
import type { ProcessServerPairTelemetry } from '@secondsite/contracts';
import type { ByteCount } from '@secondsite/units';
import { formatBytes } from './data-in-transit';

type Sent = Readonly<Record<keyof NonNullable<ProcessServerPairTelemetry['sent']>, ByteCount>>;

/** What deduplication and compression saved of a pair's change sets, in a sentence. */
export function savingWords({ contentBytes, referencedBytes, wireBytes }: Sent): string {
  if (contentBytes === 0) return 'nothing was sent yet';
  const referenced = referencedBytes === 0 ? '' : `${formatBytes(referencedBytes)} (${percent(referencedBytes, contentBytes)}) were at the target already, `;
  return `of ${formatBytes(contentBytes)} of change sets ${referenced}${formatBytes(wireBytes)} (${percent(wireBytes, contentBytes)}) crossed the link`;
}

function percent(part: number, whole: number): string {
  return `${Math.round((part / whole) * 1000) / 10} %`;
}
