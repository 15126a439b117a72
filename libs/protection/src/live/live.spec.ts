// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { MIB } from '@secondsite/units';
import { agentReading, masterTargetReading, processServerReading } from '../testing/readings';
import { dataInTransit, formatBytes } from './data-in-transit';
import { rpoSeconds, worstRpoSeconds } from './rpo';

const now = 2_000_000_000;
const heard = { seenAt: now };

describe('data in transit', () => {
  it('adds what the agent holds, the spool and the cache', () => {
    const transit = dataInTransit(
      { agent: agentReading({ ...heard, heldBytes: 1 }), processServer: processServerReading({ ...heard, spoolBytes: 2 }), masterTarget: masterTargetReading({ ...heard, cacheBytes: 4 }) },
      now,
    );
    expect(transit).toMatchObject({ agentBytes: 1, processServerBytes: 2, masterTargetBytes: 4, totalBytes: 7, waitsAt: 'nowhere' });
  });

  it('does not count regions that only await lazy clearing', () => {
    expect(dataInTransit({ agent: agentReading({ ...heard, mode: 'data', dirtyBytes: 900 * MIB }) }, now).totalBytes).toBe(0);
    expect(dataInTransit({ agent: agentReading({ ...heard, mode: 'bitmap', dirtyBytes: 900 * MIB }) }, now).agentBytes).toBe(900 * MIB);
  });

  it('says in words which place is the bottleneck and why', () => {
    const target = masterTargetReading({ ...heard });
    const spool = processServerReading({ ...heard, spoolBytes: 1536 * MIB });
    expect(dataInTransit({ processServer: spool, masterTarget: target }, now).words).toBe(
      'most of 1.5 GiB waits at the process server: the link to the master target is slower than the writes',
    );
    expect(dataInTransit({ processServer: spool }, now).words).toContain('the master target is not heard');
    const held = agentReading({ ...heard, heldBytes: 100 * MIB, flowControlled: true });
    expect(dataInTransit({ agent: held, processServer: processServerReading(heard) }, now).words).toContain('its spool is full');
    expect(dataInTransit({}, now).words).toBe('nothing is waiting');
  });

  it('prints sizes in binary units', () => {
    expect([0, 1023, 1024, 1536 * MIB].map(formatBytes)).toEqual(['0 B', '1020 B', '1 KiB', '1.5 GiB']);
  });
});

describe('RPO', () => {
  it('is now minus the covered time while green, and grows while the target is not heard', () => {
    expect(rpoSeconds(masterTargetReading({ seenAt: 0, green: true, coveredTime: now - 1_500_000 }), now)).toBe(1.5);
  });

  it('is the distance to the latest recoverable point during a resynchronisation, unknown before the first', () => {
    expect(rpoSeconds(masterTargetReading({ ...heard, green: false, coveredTime: now, latestPoint: now - 9e6 }), now)).toBe(9);
    expect(rpoSeconds(masterTargetReading({ ...heard, green: false, coveredTime: now }), now)).toBeNull();
    expect(rpoSeconds(undefined, now)).toBeNull();
  });

  it('is never negative, and of a plan the worst of its pairs', () => {
    expect(rpoSeconds(masterTargetReading({ ...heard, green: true, coveredTime: now + 1 }), now)).toBe(0);
    expect(worstRpoSeconds([1, 3, 2])).toBe(3);
    expect(worstRpoSeconds([1, null])).toBeNull();
  });
});
