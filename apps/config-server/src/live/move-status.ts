// SPDX-License-Identifier: Apache-2.0
import type { PairStatus } from '@secondsite/contracts';
import { formatBytes, silentAfterMicros } from '@secondsite/protection';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import type { PairRow } from '../read-models/directory';
import type { LiveStatus } from './live-status';
import { silentSinceOf } from './move-watch';

export interface MoveScene {
  readonly live: Pick<LiveStatus, 'leftBehind' | 'seenAt' | 'startedAt'>;
  readonly nameOf: (componentId: string) => string;
  readonly paused: boolean;
  readonly giveUpSeconds: number;
  readonly now: TimeMicros;
}

/** Where a pair is on its way to another process server, and what an operator can do; empty when it does not move. */
export function moveStatus(pair: PairRow, scene: MoveScene): Pick<PairStatus, 'move'> {
  const { leaving, processServerId: toId } = pair;
  if (!leaving) return {};
  const { live, now, giveUpSeconds } = scene;
  const silentSince = silentSinceOf(leaving, live);
  const isSilent = now - silentSince > silentAfterMicros;
  const leftBytes = isSilent ? undefined : live.leftBehind(pair)?.spoolBytes;
  const step = leaving.switched ? 'draining' : 'switching';
  const giveUpAt = isSilent && leaving.switched ? isoFromMicros(silentSince + giveUpSeconds * 1e6) : undefined;
  const known = { ...(leftBytes === undefined ? {} : { leftBytes }), ...(giveUpAt === undefined ? {} : { giveUpAt }) };
  return { move: { fromId: leaving.fromId, toId, since: leaving.since, step, ...known, words: inWords(pair, { ...scene, step, ...known }) } };
}

function inWords({ volumeName, leaving, processServerId }: PairRow, move: MoveScene & Pick<NonNullable<PairStatus['move']>, 'step' | 'leftBytes' | 'giveUpAt'>): string {
  const [from, to] = [move.nameOf(leaving?.fromId ?? ''), move.nameOf(processServerId)];
  const moves = `it moves from process server ${from} to ${to}`;
  if (move.step === 'switching') return `${moves}; its agent still sends to ${from} and changes as soon as it is heard`;
  if (move.giveUpAt !== undefined) {
    const way = `secondsite volume move ${volumeName} --process-server ${to} --give-up`;
    return `${moves}, which is not heard any more: what it has left is waited for until ${move.giveUpAt}, or until ${way}; then the marked regions are read again from the source`;
  }
  const left = move.leftBytes === undefined ? 'what it has left' : formatBytes(move.leftBytes);
  return `${moves}, which still has to forward ${left}${move.paused ? '; the plan is paused, it goes on when that is resumed' : ''}`;
}
