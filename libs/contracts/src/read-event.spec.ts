// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { isOperationError } from '@secondsite/units';
import { EventMaker, eventSubject, eventSubjectFilter, hostAddedV1, makeEvent, readEvent, subjectMatches } from './index';
import { sampleEvent } from './testing';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return isOperationError(error) ? error.code : String(error);
  }
  return 'none';
}

const hostAdded = () => sampleEvent(hostAddedV1, { hostId: 'host-1', name: 'orders' });

describe('reading an event', () => {
  it('keeps envelope and data as they are', () => {
    const event = hostAdded();
    expect(readEvent(JSON.parse(JSON.stringify(event)))).toEqual(event);
  });

  it('refuses an unknown type, bad data, a subject of another aggregate and a time that is not UTC', () => {
    expect(codeOf(() => readEvent({ ...hostAdded(), type: 'secondsite.inventory.host-eaten.v1' }))).toBe('event/unknown-type');
    expect(codeOf(() => readEvent({ ...hostAdded(), data: { hostId: 'host-1' } }))).toBe('event/invalid');
    expect(codeOf(() => readEvent({ ...hostAdded(), subject: 'host-2' }))).toBe('event/invalid');
    expect(codeOf(() => readEvent({ ...hostAdded(), time: '2026-11-21T22:50:32+01:00' }))).toBe('event/invalid');
    expect(codeOf(() => readEvent('text'))).toBe('event/invalid');
  });

  it('ignores fields that a newer publisher added', () => {
    const event = hostAdded();
    expect(readEvent({ ...event, data: { ...event.data, colour: 'red' } }).data).toEqual(event.data);
  });
});

describe('making an event', () => {
  it('refuses data that do not follow the schema', () => {
    const origin = { id: 'a', time: 1, source: '/agent/a', tenantId: 'default', actor: { kind: 'system', id: 'x' } } as const;
    expect(codeOf(() => makeEvent(hostAddedV1, { hostId: 'no spaces allowed', name: 'x' }, origin))).toBe('event/invalid');
  });

  it('stamps each event with id, time and its publisher, and starts a correlation unless one is given', () => {
    let id = 0;
    const maker = new EventMaker({ source: '/agent/a', tenantId: 't1', actor: { kind: 'system', id: 'x' }, now: () => 1_000_001, newId: () => `id-${++id}` });
    const first = maker.make(hostAddedV1, { hostId: 'h', name: 'x' });
    const second = maker.make(hostAddedV1, { hostId: 'h', name: 'x' }, { correlationId: 'c', causationId: first.id });
    expect(first).toMatchObject({ id: 'id-1', correlationid: 'id-1', time: '1970-01-01T00:00:01.000001Z', tenantid: 't1' });
    expect(second).toMatchObject({ id: 'id-2', correlationid: 'c', causationid: 'id-1' });
  });
});

describe('subjects', () => {
  it('name tenant, context, aggregate, fact and version, and filters match every version', () => {
    const subject = eventSubject(hostAdded());
    expect(subject).toBe('ss.default.inventory.host-1.host-added.v1');
    expect(subjectMatches(subject, eventSubjectFilter({ tenantId: 'default', fact: 'host-added' }))).toBe(true);
    expect(subjectMatches(subject, eventSubjectFilter({ tenantId: 'other' }))).toBe(false);
    expect(subjectMatches(subject, 'ss.>')).toBe(true);
    expect(subjectMatches('ss', 'ss.>')).toBe(false);
    expect(subjectMatches('ss.a', 'ss.a.b')).toBe(false);
    expect(subjectMatches('ss.a.b', 'ss.a')).toBe(false);
  });
});
