// SPDX-License-Identifier: Apache-2.0
import type { ClusterStatus, PairStatus } from '@secondsite/contracts';
import { type Cell, humanBytes, humanSeconds, table } from '../output';

export const pairHeader = ['VOLUME', 'PLAN', 'STAGE', 'PROGRESS', 'RPO', 'RATE', 'SAVED', 'IN TRANSIT', 'WAITS AT', 'FLAGS'];

function progressOf(pair: PairStatus): string {
  const { place: queued, notBefore } = pair.resyncWait ?? {};
  const place = queued !== undefined ? [`place ${queued}`] : notBefore !== undefined ? [`from ${notBefore.slice(0, 16)}Z`] : [];
  if (!pair.progress) return place[0] ?? '–';
  const { percent, bytesPerSecond, finishSeconds, blocks } = pair.progress;
  const rate = bytesPerSecond === undefined ? [] : [`${humanBytes(bytesPerSecond)}/s`];
  const finish = finishSeconds === undefined ? [] : [`${humanSeconds(finishSeconds)} left`];
  const compared = blocks ? [`${blocks.compared} blocks compared, ${blocks.sent} sent`] : [];
  return [`${percent.toFixed(0)} %`, ...rate, ...finish, ...compared, ...place].join(', ');
}

/** A line for each pair that moves or waits, and for each that said what it chose after an interruption. */
export function resyncLines(pairs: readonly PairStatus[]): string[] {
  return pairs.flatMap(({ volumeName, move, targetMove, resyncWait, lastResync }) => [
    ...(move ? [`${volumeName}: ${move.words}`] : []),
    ...(targetMove ? [`${volumeName}: it ${targetMove.words}`] : []),
    ...(resyncWait ? [`${volumeName}: ${resyncWait.words}`] : []),
    ...(lastResync ? [`${volumeName} since ${lastResync.at}: ${lastResync.words}`] : []),
  ]);
}

export function pairRows(pairs: readonly PairStatus[]): Cell[][] {
  return pairs.map((pair) => [
    pair.volumeName, pair.planName, pair.stage, progressOf(pair), humanSeconds(pair.rpoSeconds), `${humanBytes(pair.bytesPerSecond)}/s`,
    pair.sent && `${Math.round(pair.sent.savedPercent)} %`,
    humanBytes(pair.dataInTransit.totalBytes), pair.dataInTransit.waitsAt, pair.flags.join(' ') || '–',
  ]);
}

/** Per volume: window promised and available, size, and when the journal is full. */
export function retentionLines(pairs: readonly PairStatus[]): string {
  return pairs.flatMap(({ volumeName, retention }) => (retention ? [`${volumeName}: ${retention.words}`] : [])).join('\n');
}

/** Per volume that is being read again, or of which the disk changed something. */
export function scrubLines(pairs: readonly PairStatus[]): string[] {
  return pairs.flatMap(({ volumeName, scrub }) => (scrub && (scrub.running ?? scrub.lastRound) ? [`${volumeName}: ${scrub.words}`] : []));
}

/** Per volume: what deduplication and compression saved on the way to the master target. */
export function savingLines(pairs: readonly PairStatus[]): string {
  return pairs.flatMap(({ volumeName, sent }) => (sent ? [`${volumeName}: ${sent.words}`] : [])).join('\n');
}

/** The whole cluster on one screen. */
export function statusScreen(status: ClusterStatus): string {
  const components = table(['COMPONENT', 'ROLE', 'STATE', 'PAIRS'], status.components.map((row) => [row.name, row.role, row.state, row.pairCount]));
  const alarms = status.alarms.length === 0 ? 'no alarms' : status.alarms.map((alarm) => `ALARM since ${alarm.since}: ${alarm.words}`).join('\n');
  const { atOnce, going, waiting } = status.resyncs;
  const resyncs = going + waiting === 0 ? '' : `${going} of at most ${atOnce} at once read their whole volume, ${waiting} wait\n\n`;
  return `${status.generatedAt}\n\n${components}\n\n${table(pairHeader, pairRows(status.pairs))}\n${[retentionLines(status.pairs), ...scrubLines(status.pairs)].join('\n')}\n\n${resyncs}${alarms}`;
}
