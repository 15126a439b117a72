// SPDX-License-Identifier: Apache-2.0
import type { KeepRule, RetentionLadder } from '@secondsite/contracts';
import type { Rejection } from '../decider';

/** The same retention with the window that its rules have; without rules as it is. */
export function withWindowOfRules(retention: RetentionLadder): RetentionLadder {
  const last = retention.rules?.at(-1);
  return last ? { ...retention, windowSeconds: last.untilSeconds } : retention;
}

/** In words what is wrong with a ladder; undefined when it can be kept. */
export function faultOfRules(rules: readonly KeepRule[]): string | undefined {
  let younger = 0;
  for (const [index, rule] of rules.entries()) {
    const name = `rule ${index + 1}`;
    if (rule.untilSeconds <= younger) return `${name} ends at the age of ${rule.untilSeconds} s, where the rule before it ends or earlier`;
    if (rule.keep === 'periodic' && rule.untilSeconds - younger < rule.everySeconds) return `${name} keeps one point per ${rule.everySeconds} s but lasts only ${rule.untilSeconds - younger} s`;
    younger = rule.untilSeconds;
  }
  return undefined;
}

export function sameRetention(left: RetentionLadder | undefined, right: RetentionLadder): boolean {
  const { windowSeconds, spaceBytes, rules } = right;
  return left?.windowSeconds === windowSeconds && left.spaceBytes === spaceBytes && JSON.stringify(left.rules) === JSON.stringify(rules);
}

export function invalidLadder(fault: string): Rejection {
  return { kind: 'invalid', code: 'retention/invalid-ladder', detail: fault, hint: 'Give the rules by ascending age, each lasting at least one of its periods.' };
}
