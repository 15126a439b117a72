// SPDX-License-Identifier: Apache-2.0
import type { Figure } from './measure';

/** One line of the printed table. */
export interface TableRow {
  readonly title: string;
  readonly unit: string;
  readonly ours: Figure;
  readonly peers: readonly Figure[];
  /** What the ratio ours / peer must reach against each peer; `most` for times and latencies. */
  readonly reach: readonly { readonly kind: 'least' | 'most'; readonly ratio: number }[];
  /** What plain programs reach that only do what cannot be left out of the same work, without capture, order or checks: no goal, but what this machine allows. */
  readonly limits?: readonly Figure[];
  readonly note?: string;
}

const figureText = (figure: Figure): string => `${figure.median.toPrecision(4)} (${figure.minimum.toPrecision(3)}–${figure.maximum.toPrecision(3)})`;

/** The row in words: medians with extremes, the ratio against each peer, and whether it reaches its goal. */
export function rowLines(row: TableRow): string[] {
  const lines = [`${row.title}  [${row.unit}]`, `    ours  ${row.ours.name}: ${figureText(row.ours)}`];
  for (const [index, peer] of row.peers.entries()) {
    const ratio = row.ours.median / peer.median;
    lines.push(`    peer  ${peer.name}: ${figureText(peer)}   ratio ${ratio.toFixed(2)} ${verdict(ratio, row.reach[index])}`);
  }
  for (const limit of row.limits ?? []) lines.push(`    limit ${limit.name}: ${figureText(limit)}   ratio ${(row.ours.median / limit.median).toFixed(2)}`);
  if (row.peers.length === 0) for (const goal of row.reach) lines.push(`    goal  ${verdict(row.ours.median, goal)}`);
  if (row.note) lines.push(`    ${row.note}`);
  return lines;
}

function verdict(value: number, goal: TableRow['reach'][number] | undefined): string {
  if (!goal) return '';
  const reached = goal.kind === 'least' ? value >= goal.ratio : value <= goal.ratio;
  return `(${goal.kind === 'least' ? 'at least' : 'at most'} ${goal.ratio}: ${reached ? 'reached' : 'NOT reached'})`;
}
