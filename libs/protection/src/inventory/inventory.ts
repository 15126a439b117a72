// SPDX-License-Identifier: Apache-2.0
import type { Bandwidth, FreezeHook, Priority, Role, Tap } from '@secondsite/contracts';
import { accept, type Decider, type Decision, refuse, type Rejection } from '../decider';
import { type Fact, fact } from '../fact';

export type InventoryFact = Fact<
  | 'inventory.host-added.v1'
  | 'inventory.host-removed.v1'
  | 'inventory.component-enrolled.v1'
  | 'inventory.component-registered.v1'
  | 'inventory.component-bandwidth-changed.v1'
  | 'inventory.host-priority-changed.v1'
  | 'inventory.volume-added.v1'
  | 'inventory.volume-hooks-set.v1'
  | 'inventory.volume-removed.v1'
>;

export interface NewVolume {
  readonly volumeId: string;
  /** Name or id of a host. */
  readonly host: string;
  readonly name: string;
  readonly tap: Tap;
  readonly sizeBytes: number | undefined;
}

export type InventoryCommand =
  | { readonly kind: 'add-host'; readonly hostId: string; readonly name: string }
  | { readonly kind: 'add-volume'; readonly volume: NewVolume }
  | { readonly kind: 'set-volume-hooks'; readonly volumeId: string; readonly hooks: readonly FreezeHook[] }
  | { readonly kind: 'remove-volume'; readonly volumeId: string; readonly protectedByPlan: string | undefined }
  | { readonly kind: 'enrol-component'; readonly component: Fact<'inventory.component-enrolled.v1'>['data'] }
  | { readonly kind: 'change-host-priority'; readonly host: string; readonly priority: Priority }
  | { readonly kind: 'change-component-bandwidth'; readonly componentId: string; readonly bandwidth: Bandwidth | undefined }
  | { readonly kind: 'register-component'; readonly component: Fact<'inventory.component-registered.v1'>['data'] };

interface KnownVolume {
  readonly volumeId: string;
  readonly hostId: string;
  readonly name: string;
  readonly source: string;
}

/** All hosts, volumes and components of a tenant: names are unique inside it. */
export interface Inventory {
  readonly hostNames: ReadonlyMap<string, string>;
  readonly volumes: ReadonlyMap<string, KnownVolume>;
  readonly componentRoles: ReadonlyMap<string, Role>;
}

const initial: Inventory = { hostNames: new Map(), volumes: new Map(), componentRoles: new Map() };

export const inventoryDecider: Decider<InventoryCommand, Inventory, InventoryFact> = { initial, decide, evolve };

/** Id of a host given by id or name. */
export function findHost(inventory: Inventory, reference: string): string | undefined {
  if (inventory.hostNames.has(reference)) return reference;
  for (const [hostId, name] of inventory.hostNames) if (name === reference) return hostId;
  return undefined;
}

function decide(command: InventoryCommand, inventory: Inventory): Decision<InventoryFact> {
  switch (command.kind) {
    case 'add-host':
      if (findHost(inventory, command.name)) return refuse(nameTaken('host', command.name));
      return accept(fact('inventory.host-added.v1', { hostId: command.hostId, name: command.name }));
    case 'add-volume':
      return addVolume(command.volume, inventory);
    case 'set-volume-hooks':
      if (!inventory.volumes.has(command.volumeId)) return refuse(unknown('volume', command.volumeId));
      return accept(fact('inventory.volume-hooks-set.v1', { volumeId: command.volumeId, hooks: [...command.hooks] }));
    case 'remove-volume':
      return removeVolume(command, inventory);
    case 'change-host-priority':
      return changePriority(command, inventory);
    case 'change-component-bandwidth':
      return changeBandwidth(command, inventory);
    case 'enrol-component':
      return accept(fact('inventory.component-enrolled.v1', command.component));
    case 'register-component':
      if (!inventory.componentRoles.has(command.component.componentId)) return refuse(unknown('component', command.component.componentId));
      return accept(fact('inventory.component-registered.v1', command.component));
  }
}

function addVolume(volume: NewVolume, inventory: Inventory): Decision<InventoryFact> {
  const hostId = findHost(inventory, volume.host);
  if (hostId === undefined) return refuse(unknown('host', volume.host));
  const source = sourceOf(volume.tap);
  for (const known of inventory.volumes.values()) {
    if (known.name === volume.name) return refuse(nameTaken('volume', volume.name));
    if (known.hostId === hostId && known.source === source) return refuse(sourceTaken(known, source));
  }
  const { volumeId, name, tap, sizeBytes } = volume;
  return accept(fact('inventory.volume-added.v1', { volumeId, hostId, name, tap, ...(sizeBytes === undefined ? {} : { sizeBytes }) }));
}

function removeVolume(command: Extract<InventoryCommand, { kind: 'remove-volume' }>, inventory: Inventory): Decision<InventoryFact> {
  const volume = inventory.volumes.get(command.volumeId);
  if (!volume) return refuse(unknown('volume', command.volumeId));
  if (command.protectedByPlan === undefined) {
    return accept(fact('inventory.volume-removed.v1', { volumeId: volume.volumeId, hostId: volume.hostId }));
  }
  const detail = `volume ${volume.name} is protected by plan ${command.protectedByPlan}`;
  return refuse({ kind: 'conflict', code: 'volume/protected', detail, hint: 'Remove the plan first.' });
}

function changePriority({ host, priority }: Extract<InventoryCommand, { kind: 'change-host-priority' }>, inventory: Inventory): Decision<InventoryFact> {
  const hostId = findHost(inventory, host);
  return hostId === undefined ? refuse(unknown('host', host)) : accept(fact('inventory.host-priority-changed.v1', { hostId, priority }));
}

function changeBandwidth({ componentId, bandwidth }: Extract<InventoryCommand, { kind: 'change-component-bandwidth' }>, inventory: Inventory): Decision<InventoryFact> {
  const role = inventory.componentRoles.get(componentId);
  if (role === undefined) return refuse(unknown('component', componentId));
  if (role === 'master-target') return accept(fact('inventory.component-bandwidth-changed.v1', { componentId, ...(bandwidth ? { bandwidth } : {}) }));
  const hint = 'Limit the master target that the change sets are sent to, or a plan.';
  return refuse({ kind: 'invalid', code: 'component/not-a-master-target', detail: `${componentId} is a component of role ${role}`, hint });
}

function sourceOf(tap: Tap): string {
  return tap.kind === 'nbd' ? tap.source : `${tap.qmpSocket}#${tap.device}`;
}

function nameTaken(what: string, name: string): Rejection {
  return { kind: 'conflict', code: `${what}/name-taken`, detail: `a ${what} named ${name} exists`, hint: 'Choose another name.' };
}

function sourceTaken(volume: KnownVolume, source: string): Rejection {
  const detail = `${source} is already the source of volume ${volume.name}`;
  return { kind: 'conflict', code: 'volume/source-taken', detail, hint: 'Two volumes cannot share one source; use the volume that exists.' };
}

function unknown(what: string, reference: string): Rejection {
  return { kind: 'not-found', code: `${what}/unknown`, detail: `there is no ${what} ${reference}`, hint: `List the ${what}s to see their names.` };
}

function evolve(inventory: Inventory, { type, data }: InventoryFact): Inventory {
  switch (type) {
    case 'secondsite.inventory.host-added.v1':
      return { ...inventory, hostNames: new Map(inventory.hostNames).set(data.hostId, data.name) };
    case 'secondsite.inventory.host-removed.v1':
      return { ...inventory, hostNames: without(inventory.hostNames, data.hostId) };
    case 'secondsite.inventory.component-enrolled.v1':
      return { ...inventory, componentRoles: new Map(inventory.componentRoles).set(data.componentId, data.role) };
    case 'secondsite.inventory.component-registered.v1':
    case 'secondsite.inventory.component-bandwidth-changed.v1':
    case 'secondsite.inventory.host-priority-changed.v1':
    case 'secondsite.inventory.volume-hooks-set.v1':
      return inventory;
    case 'secondsite.inventory.volume-added.v1': {
      const { volumeId, hostId, name } = data;
      return { ...inventory, volumes: new Map(inventory.volumes).set(volumeId, { volumeId, hostId, name, source: sourceOf(data.tap) }) };
    }
    case 'secondsite.inventory.volume-removed.v1':
      return { ...inventory, volumes: without(inventory.volumes, data.volumeId) };
  }
}

function without<Value>(map: ReadonlyMap<string, Value>, key: string): ReadonlyMap<string, Value> {
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}
