// SPDX-License-Identifier: Apache-2.0
import type { PairArrivalTelemetry, PairStatus } from '@secondsite/contracts';
import { formatSeconds } from '@secondsite/protection';

type Move = NonNullable<PairStatus['targetMove']>;

/** Progress of a pair's move to another master target; nothing when it does not move. `arrival`: as that target told last. */
export function targetMoveStatus(toMasterTargetId: string | undefined, arrival: PairArrivalTelemetry | undefined): Pick<PairStatus, 'targetMove'> {
  if (toMasterTargetId === undefined) return {};
  const { copiedBytes = 0, totalBytes = 0, finishSeconds } = arrival ?? {};
  const state: Move['state'] = arrival?.state ?? 'waiting';
  const percent = state === 'complete' ? 100 : totalBytes === 0 ? 0 : Math.min(100, Math.floor((copiedBytes / totalBytes) * 1000) / 10);
  const progress = { toMasterTargetId, state, copiedBytes, totalBytes, percent, ...(finishSeconds === undefined ? {} : { finishSeconds }) };
  return { targetMove: { ...progress, words: `moves to ${toMasterTargetId}: ${wordsOf({ ...progress, fault: arrival?.fault })}` } };
}

function wordsOf({ state, percent, finishSeconds, fault }: Omit<Move, 'words'> & Pick<PairArrivalTelemetry, 'fault'>): string {
  const trouble = fault ? `; ${fault.code}: ${fault.hint}` : '';
  switch (state) {
    case 'waiting':
      return `waits for that master target${trouble}`;
    case 'copying':
      return `${percent} % copied${finishSeconds === undefined ? '' : `, about ${formatSeconds(finishSeconds)} left`}${trouble}`;
    case 'taking-over':
      return `takes over, the process server keeps what comes meanwhile${trouble}`;
    case 'complete':
      return 'all is there';
  }
}
