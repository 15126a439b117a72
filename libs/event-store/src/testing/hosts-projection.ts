// SPDX-License-Identifier: Apache-2.0
import type { EntityManager } from 'typeorm';
import type { Projection } from '../projection';

export const createHostsTable = 'create table hosts (host_id text primary key, name text not null, changes int not null)';

/** A small read model: the hosts that exist, and how often each was added. */
export const hostsProjection: Projection = {
  name: 'hosts',
  tables: ['hosts'],
  async apply(event, manager: EntityManager) {
    if (event.type === 'secondsite.inventory.host-added.v1') {
      await manager.query(
        'insert into hosts values ($1, $2, 1) on conflict (host_id) do update set name = excluded.name, changes = hosts.changes + 1', [event.data.hostId, event.data.name],
      );
    }
    if (event.type === 'secondsite.inventory.host-removed.v1') await manager.query('delete from hosts where host_id = $1', [event.data.hostId]);
  },
};
