// SPDX-License-Identifier: Apache-2.0
import * as events from './events';
import type { EventDefinition, EventOf } from './define-event';

type Definitions = typeof events;
type DefinitionName = keyof Definitions;

/** Any released event, whatever its version. */
export type ReleasedEvent = { [Name in DefinitionName]: EventOf<Definitions[Name]> }[DefinitionName];
/** Versions that an upcaster replaces when they are read. */
type ReplacedType =
  | 'secondsite.replication.change-set-applied.v1'
  | 'secondsite.replication.resync-required.v1'
  | 'secondsite.protection.retention-changed.v1'
  | 'secondsite.recovery.bookmark-created.v1';
/** What readers handle: the newest version of each fact. Switch on `type`. */
export type CurrentEvent = Exclude<ReleasedEvent, { readonly type: ReplacedType }>;

/** Every released event version, in the order they were written down. */
export const eventDefinitions: readonly EventDefinition[] = Object.freeze(Object.values(events));

const definitionsByType = new Map(eventDefinitions.map((definition) => [definition.type, definition]));

export function findEventDefinition(type: string): EventDefinition | undefined {
  return definitionsByType.get(type);
}
