// SPDX-License-Identifier: Apache-2.0
import type { KeepRule as RuleInSeconds, RetentionLadder } from '@secondsite/contracts';
import type { KeepRule, RetentionLimits } from '@secondsite/retention-journal';

/** Retention of a plan, as documents say it, in the journal's microseconds. */
export function retentionLimits({ windowSeconds, spaceBytes, rules }: RetentionLadder): RetentionLimits {
  return { windowMicros: windowSeconds * 1e6, ...(spaceBytes !== undefined && { spaceBytes }), ...(rules && { rules: rules.map(ruleInMicros) }) };
}

function ruleInMicros(rule: RuleInSeconds): KeepRule {
  const untilMicros = rule.untilSeconds * 1e6;
  switch (rule.keep) {
    case 'all':
      return { keep: 'all', untilMicros };
    case 'periodic':
      return { keep: 'periodic', untilMicros, everyMicros: rule.everySeconds * 1e6, bookmarks: rule.bookmarks };
    case 'bookmarks':
      return { keep: 'bookmarks', untilMicros, bookmarks: rule.bookmarks };
  }
}
