// SPDX-License-Identifier: Apache-2.0
import type { ComponentAddress } from '@secondsite/contracts';
import { MessageBus, type MessageBusOptions } from '../message-bus';

/** A connected bus of an agent (or another component) with its streams made. Close it at the end of the spec. */
export async function startTestBus(url: string, identity: Partial<ComponentAddress> = {}, options: Partial<MessageBusOptions> = {}): Promise<MessageBus> {
  const bus = await MessageBus.start({ servers: [url], identity: { tenantId: 'default', role: 'agent', componentId: 'host-1', ...identity }, ...options });
  await bus.keepTopology();
  return bus;
}
