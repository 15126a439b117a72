// SPDX-License-Identifier: Apache-2.0
/** What the guest's application acknowledged, taken from its console: a record outside the disk that recovery is checked against. */
import type { ConsoleLine } from '@secondsite/qemu';
import type { TimeMicros } from '@secondsite/units';

export interface Acknowledgement {
  readonly row: number;
  /** When the host received the line: at or after the commit. */
  readonly receivedAt: TimeMicros;
}

export function acknowledgementsOf(lines: readonly ConsoleLine[]): Acknowledgement[] {
  const found: Acknowledgement[] = [];
  for (const line of lines) {
    const row = /^ACK (\d+)$/.exec(line.text)?.[1];
    if (row !== undefined) found.push({ row: Number(row), receivedAt: line.receivedMicros });
  }
  return found;
}

/** Result of the guest's own check of its data: `CHECK ok rows=12 max=12 wrong=0`. */
export interface GuestCheck {
  readonly sound: boolean;
  readonly rows: number;
  readonly newestRow: number;
  readonly wrongRows: number;
}

export function readGuestCheck(text: string): GuestCheck {
  const match = /^CHECK ok rows=(\d+) max=(\d+) wrong=(\d+)/.exec(text);
  if (!match) return { sound: false, rows: 0, newestRow: 0, wrongRows: 0 };
  return { sound: true, rows: Number(match[1]), newestRow: Number(match[2]), wrongRows: Number(match[3]) };
}

export type Verdict = { readonly right: true; readonly words: string } | { readonly right: false; readonly words: string };

/**
 * Judges a disk recovered as of `at`: every row acknowledged by then is there, and no row that began later. The guest commits one row at a
 * time, so at most the row after the last one acknowledged by `at` may have been in flight.
 */
export function judgeRecovery({ acknowledgements, check, at }: { acknowledgements: readonly Acknowledgement[]; check: GuestCheck; at: TimeMicros }): Verdict {
  const before = acknowledgements.filter((entry) => entry.receivedAt <= at);
  const newest = before.at(-1)?.row ?? 0;
  if (!check.sound) return { right: false, words: 'the database is damaged or gone' };
  if (check.wrongRows > 0 || check.rows !== check.newestRow) return { right: false, words: `rows are missing or wrong: ${JSON.stringify(check)}` };
  if (check.newestRow < newest) return { right: false, words: `row ${newest} was acknowledged before that time, the newest recovered is ${check.newestRow}` };
  if (check.newestRow > newest + consoleSlackRows({ acknowledgements, at })) return { right: false, words: `row ${check.newestRow} is newer than that time (newest acknowledged then: ${newest})` };
  return { right: true, words: `all ${newest} rows acknowledged by then are there, none later` };
}

/**
 * Rows that may be in the disk beyond the newest acknowledgement received by `at`: one in flight. On a busy machine nobody reads the console for a
 * while, and then several lines at once: those that came within 50 ms of the first line read after `at` were on their way, and one more in flight.
 */
function consoleSlackRows({ acknowledgements, at }: { acknowledgements: readonly Acknowledgement[]; at: TimeMicros }): number {
  const after = acknowledgements.filter((entry) => entry.receivedAt > at);
  const readAgainAt = after[0]?.receivedAt ?? at;
  const atOnce = after.filter((entry) => entry.receivedAt <= readAgainAt + 50_000).length;
  return atOnce > 1 ? atOnce + 1 : 1;
}
