// SPDX-License-Identifier: Apache-2.0
import { accept, type Decider, type Decision } from '../decider';
import { type Fact, fact } from '../fact';

export type AlertFact = Fact<'monitoring.alert-raised.v1' | 'monitoring.alert-cleared.v1'>;

/** What alerts are about, and how bad that is. */
export const alertSeverities = {
  stalled: 'critical', 'resync-required': 'critical', 'rpo-exceeded': 'critical', 'component-silent': 'critical', 'disk-space-low': 'critical',
  'volume-shrunk': 'critical', 'replica-damaged': 'critical', 'marks-not-durable': 'critical',
  'bitmap-mode': 'warning', 'flow-control': 'warning', 'retention-window-low': 'warning', 'cold-store-failed': 'warning', 'bookmark-failed': 'warning',
} as const;
export type AlertKind = keyof typeof alertSeverities;

export type AlertSubject = Pick<Fact<'monitoring.alert-raised.v1'>['data'], 'subjectId' | 'subjectKind' | 'subjectName'>;

/** Whether something is wrong with a subject now. What is not known is not judged. */
export type AlertJudgement = AlertSubject & { readonly kind: AlertKind } & (
    | { readonly on: false }
    | { readonly on: true; readonly words: string; readonly hint: string }
  );

export interface AlertCommand {
  readonly kind: 'judge';
  readonly judgement: AlertJudgement;
}

/** The kinds that are raised of one subject. */
export type SubjectAlerts = ReadonlySet<string>;

/** The alerts of one subject: each is raised once and cleared once, however often it is judged. */
export const alertDecider: Decider<AlertCommand, SubjectAlerts, AlertFact> = { initial: new Set(), decide, evolve };

function decide({ judgement }: AlertCommand, raised: SubjectAlerts): Decision<AlertFact> {
  if (judgement.on === raised.has(judgement.kind)) return accept();
  const { subjectId, subjectKind, subjectName, kind } = judgement;
  const about = { subjectId, subjectKind, subjectName, kind };
  if (!judgement.on) return accept(fact('monitoring.alert-cleared.v1', about));
  const { words, hint } = judgement;
  return accept(fact('monitoring.alert-raised.v1', { ...about, severity: alertSeverities[kind], words: words.slice(0, textCharactersMax), hint: hint.slice(0, textCharactersMax) }));
}

const textCharactersMax = 500;

function evolve(raised: SubjectAlerts, { type, data: { kind } }: AlertFact): SubjectAlerts {
  const next = new Set(raised);
  if (type === 'secondsite.monitoring.alert-raised.v1') next.add(kind);
  else next.delete(kind);
  return next;
}
