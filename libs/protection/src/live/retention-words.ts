// SPDX-License-Identifier: Apache-2.0
import type { RetentionReport } from '@secondsite/contracts';
import type { ByteCount } from '@secondsite/units';
import { formatBytes } from './data-in-transit';

const units = [['d', 86_400], ['h', 3600], ['min', 60], ['s', 1]] as const;

/** `11400` → `3 h 10 min`: the two largest units that say something. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const first = units.findIndex(([, length]) => whole >= length);
  if (first < 0) return '0 s';
  const [name, length] = units[first] as (typeof units)[number];
  const [smaller, part] = units[first + 1] ?? ['', Infinity];
  const rest = Math.floor((whole % length) / part);
  return rest > 0 ? `${Math.floor(whole / length)} ${name} ${rest} ${smaller}` : `${Math.floor(whole / length)} ${name}`;
}

/** What is in the cold store, and what should be. */
function coldWords({ cold }: RetentionReport): string {
  if (!cold) return '';
  return ` here and ${formatBytes(cold.bytes)} in the cold store${cold.trouble ? ` (${cold.trouble.code}, ${formatBytes(cold.waitingBytes)} waiting)` : ''}`;
}

/** Window promised and available, the journal's size, here and in the cold store, and when it is full, in a sentence. */
export function retentionWords(report: RetentionReport, journalBytes: ByteCount): string {
  const { promisedSeconds, availableSeconds, limitBytes, fullSeconds, shortenedBy } = report;
  const window = `${formatSeconds(Math.min(availableSeconds, promisedSeconds))} of ${formatSeconds(promisedSeconds)} available`;
  const size = `journal ${formatBytes(journalBytes)}${limitBytes === undefined ? '' : ` of ${formatBytes(limitBytes)}`}${coldWords(report)}`;
  const causes = { 'space-limit': 'its space limit was reached', 'disk-full': 'the disk of the master target is full' };
  if (shortenedBy) return `${window}: the oldest points were dropped because ${causes[shortenedBy]}; ${size}`;
  return `${window}, ${size}${fullSeconds === undefined ? '' : `, full in ${formatSeconds(fullSeconds)}`}`;
}
