// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { fact } from '../fact';
import { given } from '../testing/given';
import { inventoryDecider } from './inventory';

const host = fact('inventory.host-added.v1', { hostId: 'h1', name: 'web' });
const tap = { kind: 'nbd', source: '/disks/web.img' } as const;
const volume = fact('inventory.volume-added.v1', { volumeId: 'v1', hostId: 'h1', name: 'web-root', tap });
const command = { kind: 'add-volume', volume: { volumeId: 'v2', host: 'web', name: 'web-data', tap: { kind: 'nbd', source: '/disks/data.img' }, sizeBytes: undefined } } as const;

describe('the inventory', () => {
  it('given a host, when a volume is added by the name of the host, then it belongs to its id', () => {
    expect(given(inventoryDecider, [host]).when(command)).toMatchObject({ accepted: true, facts: [{ data: { hostId: 'h1', name: 'web-data' } }] });
  });

  it('refuses an unknown host and names that are taken', () => {
    expect(given(inventoryDecider, []).when(command)).toMatchObject({ accepted: false, rejection: { code: 'host/unknown', kind: 'not-found' } });
    expect(given(inventoryDecider, [host]).when({ kind: 'add-host', hostId: 'h2', name: 'web' })).toMatchObject({ rejection: { code: 'host/name-taken' } });
    const taken = { ...command, volume: { ...command.volume, name: 'web-root' } };
    expect(given(inventoryDecider, [host, volume]).when(taken)).toMatchObject({ rejection: { code: 'volume/name-taken' } });
  });

  it('refuses two volumes on one source', () => {
    const same = { ...command, volume: { ...command.volume, tap } };
    expect(given(inventoryDecider, [host, volume]).when(same)).toMatchObject({ rejection: { code: 'volume/source-taken' } });
  });

  it('keeps a volume that a plan protects', () => {
    const inventory = given(inventoryDecider, [host, volume]);
    expect(inventory.when({ kind: 'remove-volume', volumeId: 'v1', protectedByPlan: 'shop' })).toMatchObject({ rejection: { code: 'volume/protected' } });
    expect(inventory.when({ kind: 'remove-volume', volumeId: 'v1', protectedByPlan: undefined })).toMatchObject({ accepted: true });
  });

  it('limits the bandwidth of master targets only, and knows a host by name', () => {
    const bandwidth = { timeZone: 'UTC', rules: [{ bytesPerSecond: 1_000_000 }] };
    const enrolled = (componentId: string, role: 'master-target' | 'process-server') => fact('inventory.component-enrolled.v1', {
      componentId, role, name: componentId, expiresAt: '2026-12-01T00:00:00Z',
    });
    const inventory = given(inventoryDecider, [host, enrolled('mt', 'master-target'), enrolled('ps', 'process-server')]);
    expect(inventory.when({ kind: 'change-component-bandwidth', componentId: 'mt', bandwidth })).toMatchObject({ facts: [{ data: { componentId: 'mt', bandwidth } }] });
    expect(inventory.when({ kind: 'change-component-bandwidth', componentId: 'ps', bandwidth })).toMatchObject({ rejection: { code: 'component/not-a-master-target' } });
    expect(inventory.when({ kind: 'change-component-bandwidth', componentId: 'x', bandwidth })).toMatchObject({ rejection: { code: 'component/unknown' } });
    expect(inventory.when({ kind: 'change-host-priority', host: host.data.name, priority: 'low' })).toMatchObject({ facts: [{ data: { hostId: host.data.hostId, priority: 'low' } }] });
  });

  it('sets the hooks of a volume that is there', () => {
    const command = { kind: 'set-volume-hooks', volumeId: 'v1', hooks: [{ kind: 'script', file: '/etc/quiesce' }] } as const;
    expect(given(inventoryDecider, [host, volume]).when(command)).toMatchObject({ facts: [{ data: { volumeId: 'v1', hooks: [{ kind: 'script' }] } }] });
    expect(given(inventoryDecider, [host]).when(command)).toMatchObject({ rejection: { code: 'volume/unknown' } });
  });

  it('registers only components that were enrolled', () => {
    const component = { componentId: 'ps', role: 'process-server', version: '0.1.0', hostName: 'x' } as const;
    expect(given(inventoryDecider, []).when({ kind: 'register-component', component })).toMatchObject({ rejection: { code: 'component/unknown' } });
  });
});
