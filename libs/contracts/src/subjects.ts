// SPDX-License-Identifier: Apache-2.0
import type { EventContext } from './define-event';
import type { Role } from './scalars';

/** Streams and buckets of the control plane. */
export const streamNames = { events: 'EVENTS', telemetry: 'TELEMETRY', deadLetters: 'DEAD_LETTERS', desiredState: 'desired-state' } as const;

interface SubjectSource {
  readonly type: string;
  readonly tenantid: string;
  readonly subject: string;
}

/** `ss.<tenant>.<context>.<aggregate id>.<fact>.v<n>` of an event. */
export function eventSubject(event: SubjectSource): string {
  const [, context, fact, version] = event.type.split('.');
  return ['ss', event.tenantid, context, event.subject, fact, version].join('.');
}

export interface EventFilter {
  readonly tenantId?: string;
  readonly context?: EventContext;
  readonly aggregateId?: string;
  readonly fact?: string;
}

/** Subject filter that matches every version of the events asked for. */
export function eventSubjectFilter(filter: EventFilter = {}): string {
  return ['ss', filter.tenantId ?? '*', filter.context ?? '*', filter.aggregateId ?? '*', filter.fact ?? '*', '*'].join('.');
}

/** Names one component of one tenant. */
export interface ComponentAddress {
  readonly tenantId: string;
  readonly role: Role;
  readonly componentId: string;
}

/** `sst.<tenant>.<role>.<component id>`: telemetry, kept for 60 s. */
export function telemetrySubject(component: ComponentAddress): string {
  return `sst.${component.tenantId}.${component.role}.${component.componentId}`;
}

export function telemetrySubjectFilter(filter: { readonly tenantId?: string; readonly role?: Role } = {}): string {
  return `sst.${filter.tenantId ?? '*'}.${filter.role ?? '*'}.*`;
}

/** `ssr.<tenant>.<role>.<component id>.<operation>`: a request that one component answers. */
export function requestSubject(component: ComponentAddress, operation: string): string {
  return `ssr.${component.tenantId}.${component.role}.${component.componentId}.${operation}`;
}

/** `ssd.<durable>`: where a message goes that its consumer could not handle. */
export function deadLetterSubject(durable: string): string {
  return `ssd.${durable}`;
}

/** Key of a component's document in the bucket `desired-state`. */
export function desiredStateKey(component: { readonly role: Role; readonly componentId: string }): string {
  return `${component.role}.${component.componentId}`;
}

/** Does a subject match a filter with `*` and `>`? */
export function subjectMatches(subject: string, filter: string): boolean {
  const tokens = subject.split('.');
  const parts = filter.split('.');
  for (const [index, part] of parts.entries()) {
    if (part === '>') return tokens.length > index;
    if (tokens[index] === undefined || (part !== '*' && part !== tokens[index])) return false;
  }
  return tokens.length === parts.length;
}
