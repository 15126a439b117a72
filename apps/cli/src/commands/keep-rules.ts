// SPDX-License-Identifier: Apache-2.0
// Rules of a retention ladder as people write them:
//   all for 24h · every 4h until 7d · every 1d with user bookmarks until 28d · every 4h without bookmarks until 7d · bookmarks until 1y · user bookmarks until 28d
import type { KeepRule } from '@secondsite/contracts';
import { parseSeconds } from '../output';

export const keepRuleHelp =
  'one rule of a ladder, repeated by ascending age: "all for 24h", "every 4h until 7d" (with all bookmarks; or "with user bookmarks", "without bookmarks"), "user bookmarks until 28d"';

const grammar = /^(?:(all)|every (\S+)(?: (?:with (?:(\S+) )?bookmarks|(without) bookmarks))?|(?:(\S+) )?bookmarks) (?:for|until) (\S+)$/;

/** Undefined when the text is no rule. Levels of bookmarks are separated by commas. */
export function parseKeepRule(text: string): KeepRule | undefined {
  const match = grammar.exec(text.trim().replaceAll(/\s+/g, ' '));
  if (!match) return undefined;
  const [, all, every, periodicLevels, without, levels, until] = match;
  const untilSeconds = parseSeconds(until as string);
  if (untilSeconds === undefined || untilSeconds === 0) return undefined;
  if (all !== undefined) return { keep: 'all', untilSeconds };
  if (every === undefined) return { keep: 'bookmarks', untilSeconds, bookmarks: bookmarkChoice(levels) };
  const everySeconds = parseSeconds(every);
  if (everySeconds === undefined || everySeconds === 0) return undefined;
  return { keep: 'periodic', untilSeconds, everySeconds, bookmarks: without === undefined ? bookmarkChoice(periodicLevels) : [] };
}

function bookmarkChoice(levels: string | undefined): 'every' | string[] {
  return levels === undefined || levels === 'all' ? 'every' : levels.split(',');
}

/** A rule as `parseKeepRule` reads it. */
export function formatKeepRule(rule: KeepRule): string {
  const until = shortSeconds(rule.untilSeconds);
  if (rule.keep === 'all') return `all for ${until}`;
  const levels = rule.bookmarks === 'every' ? '' : `${rule.bookmarks.join(',')} `;
  if (rule.keep === 'bookmarks') return `${levels}bookmarks until ${until}`;
  const bookmarks = rule.bookmarks === 'every' ? '' : rule.bookmarks.length === 0 ? ' without bookmarks' : ` with ${levels}bookmarks`;
  return `every ${shortSeconds(rule.everySeconds)}${bookmarks} until ${until}`;
}

function shortSeconds(seconds: number): string {
  for (const [unit, length] of [['d', 86_400], ['h', 3600], ['m', 60]] as const) if (seconds % length === 0) return `${seconds / length}${unit}`;
  return `${seconds}s`;
}
