// SPDX-License-Identifier: Apache-2.0
import type { ComponentAddress, DataPlaneRole } from '@secondsite/contracts';

/** `<context>.<fact>` of the events that a role tells about the pairs and bookmarks of its tenant. */
const toldByRole: Readonly<Record<DataPlaneRole, readonly string[]>> = {
  agent: [
    'replication.resync-started', 'replication.resync-compared', 'replication.resync-read', 'replication.resync-required', 'replication.resync-chosen', 'replication.bitmap-mode-entered',
    'replication.bitmap-mode-left', 'replication.volume-grown', 'replication.volume-shrunk', 'replication.volume-restored',
    'replication.flow-control-started', 'replication.flow-control-ended', 'replication.change-set-refused', 'recovery.bookmark-created', 'recovery.bookmark-failed',
  ],
  'process-server': [
    'replication.flow-control-started', 'replication.flow-control-ended', 'replication.resync-required', 'replication.change-set-refused',
    'replication.damage-found',
  ],
  'master-target': [
    'replication.resync-started', 'replication.resync-read', 'replication.resync-required', 'replication.differential-sync-reached',
    'replication.change-set-applied', 'replication.change-set-refused', 'replication.replication-stalled', 'replication.replication-recovered',
    'replication.retention-shortened', 'replication.cold-store-failed', 'replication.cold-store-recovered',
    'replication.damage-found', 'replication.damage-repaired', 'replication.scrub-completed',
  ],
};

/** What every component tells about itself. */
const toldOfItself: readonly string[] = ['inventory.component-registered', 'security.peer-refused'];

/** Subjects of all events that a data-plane component may publish, in any version. A fact that stands in no list is the configuration server's. */
export function publishableEvents({ tenantId, componentId }: ComponentAddress, role: DataPlaneRole): string[] {
  return [...toldByRole[role].map((fact) => subjectOf(fact, { tenantId, aggregateId: '*' })), ...toldOfItself.map((fact) => subjectOf(fact, { tenantId, aggregateId: componentId }))];
}

function subjectOf(contextAndFact: string, { tenantId, aggregateId }: { readonly tenantId: string; readonly aggregateId: string }): string {
  const [context, fact] = contextAndFact.split('.');
  return `ss.${tenantId}.${context}.${aggregateId}.${fact}.*`;
}
