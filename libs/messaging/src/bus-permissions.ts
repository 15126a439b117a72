// SPDX-License-Identifier: Apache-2.0
import { type ComponentAddress, type DataPlaneRole, requestSubject, streamNames, telemetrySubject } from '@secondsite/contracts';
import { desiredStateSubject } from './desired-state-bucket';
import { publishableEvents } from './event-rights';
import { twinSubject } from './twin-watch';

/** What the bearer of a component's certificate may do on the bus; an entry of nats-server's list of users (with `verify_and_map`). */
export interface BusUser {
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Prefix of the inboxes of one component, so that nobody else can listen to its replies. */
export function inboxPrefix({ tenantId, role, componentId }: ComponentAddress): string {
  return `_INBOX_${tenantId}_${role}_${componentId}`;
}

/**
 * A data-plane component publishes the events of its role, its own telemetry and replies, asks for its own twins, and reads its own desired state and requests: nothing
 * of other tenants, nothing of other components. The configuration server may do everything; an operator has no business on the bus.
 */
export function busUser(component: ComponentAddress): BusUser {
  const { tenantId, role, componentId } = component;
  const user = `secondsite:${tenantId}/${role}/${componentId}`;
  if (role === 'config-server') return { user, publish: ['>'], subscribe: ['>'] };
  if (role === 'operator') return { user, publish: [], subscribe: [] };
  const state = desiredStateSubject({ role: role satisfies DataPlaneRole, componentId });
  return {
    user,
    publish: [...publishableEvents(component, role), telemetrySubject(component), twinSubject(component), `$JS.API.DIRECT.GET.KV_${streamNames.desiredState}.${state}`],
    subscribe: [state, requestSubject(component, '*'), `${inboxPrefix(component)}.>`],
  };
}
