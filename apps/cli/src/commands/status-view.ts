// SPDX-License-Identifier: Apache-2.0
import type { ClusterStatus, PairStatus } from '@secondsite/contracts';
import { type Cell, humanBytes, humanSeconds, table } from '../output';

export const pairHeader = ['VOLUME', 'PLAN', 'STAGE', 'PROGRESS', 'RPO', 'RATE', 'IN TRANSIT', 'WAITS AT', 'FLAGS'];

function progressOf(pair: PairStatus): string {
  if (!pair.progress) return '–';
  const { blocks, finishSeconds, percent } = pair.progress;
  const finish = finishSeconds === undefined ? '' : `, ${humanSeconds(finishSeconds)} left`;
  const compared = blocks ? `, ${blocks.compared} blocks compared, ${blocks.sent} sent` : '';
  return `${percent.toFixed(0)} %${finish}${compared}`;
}

export function pairRows(pairs: readonly PairStatus[]): Cell[][] {
  return pairs.map((pair) => [
    pair.volumeName, pair.planName, pair.stage, progressOf(pair), humanSeconds(pair.rpoSeconds), `${humanBytes(pair.bytesPerSecond)}/s`,
    humanBytes(pair.dataInTransit.totalBytes), pair.dataInTransit.waitsAt, pair.flags.join(' ') || '–',
  ]);
}

/** The whole cluster on one screen. */
export function statusScreen(status: ClusterStatus): string {
  const components = table(['COMPONENT', 'ROLE', 'STATE', 'PAIRS'], status.components.map((row) => [row.name, row.role, row.state, row.pairCount]));
  const alarms = status.alarms.length === 0 ? 'no alarms' : status.alarms.map((alarm) => `ALARM since ${alarm.since}: ${alarm.words}`).join('\n');
  return `${status.generatedAt}\n\n${components}\n\n${table(pairHeader, pairRows(status.pairs))}\n\n${alarms}`;
}
