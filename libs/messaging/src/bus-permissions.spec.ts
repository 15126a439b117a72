// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { type ComponentAddress, eventDefinitions, subjectMatches } from '@secondsite/contracts';
import { busUser } from './bus-permissions';

const roles = ['agent', 'process-server', 'master-target'] as const;
const address = (role: ComponentAddress['role']): ComponentAddress => ({ tenantId: 't1', role, componentId: 'c-1' });
const may = (role: ComponentAddress['role'], subject: string): boolean => busUser(address(role)).publish.some((filter) => subjectMatches(subject, filter));
/** Facts that only the configuration server tells. A new event goes here or into event-rights.ts. */
const tellsOnlyConfigServer = [
  'host-added', 'host-removed', 'host-priority-changed', 'component-bandwidth-changed', 'component-enrolled', 'volume-added', 'volume-removed', 'enrolment-token-issued', 'enrolment-refused', 'certificate-issued',
  'certificate-renewed', 'plan-created', 'plan-paused', 'plan-resumed', 'plan-removed', 'volume-protected', 'volume-unprotected', 'pair-created', 'pair-removed',
  'retention-changed', 'bandwidth-changed', 'rpo-threshold-changed', 'resync-requested', 'automatic-resync-changed', 'alert-raised', 'alert-cleared', 'point-pinned', 'point-unpinned', 'consistency-level-changed', 'deduplication-changed', 'pair-joined-plan', 'pair-left-plan', 'process-server-changed', 'process-server-switched', 'process-server-left', 'target-move-started', 'target-move-cancelled', 'target-moved', 'volume-hooks-set', 'consistency-interval-changed', 'view-opened', 'view-closed', 'point-refused',
];

describe('the rights on the bus', () => {
  it.each(eventDefinitions.map(({ context, fact, version }) => [`${context}.${fact}.v${version}`, fact] as const))('say who tells %s', (name, fact) => {
    const [context, , version] = name.split('.');
    const tellers = roles.filter((role) => may(role, `ss.t1.${context}.c-1.${fact}.${version}`));
    if (tellsOnlyConfigServer.includes(fact)) expect(tellers).toEqual([]);
    else expect(tellers.length).toBeGreaterThan(0);
  });

  it.each(roles)('keep %s to its tenant, and of itself it tells only its own', (role) => {
    const { publish, subscribe } = busUser(address(role));
    expect(publish.filter((subject) => subject.startsWith('ss')).every((subject) => subject.split('.')[1] === 't1')).toBe(true);
    expect(subscribe.filter((subject) => subject.includes('_INBOX') || subject.startsWith('ss')).every((subject) => subject.includes('t1'))).toBe(true);
    expect([may(role, 'ss.t1.security.c-2.peer-refused.v1'), may(role, `sst.t1.${role}.c-2`)]).toEqual([false, false]);
  });

  it('give a person nothing', () => {
    expect(busUser(address('operator'))).toMatchObject({ publish: [], subscribe: [] });
  });
});
