// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import type { EntityManager } from 'typeorm';

/** A read model that follows from the events alone: no clock, no chance, nothing but what it wrote itself before. */
export interface Projection {
  readonly name: string;
  /** Every table it writes; nobody else writes them. */
  readonly tables: readonly string[];
  apply(event: CurrentEvent, manager: EntityManager): Promise<void>;
}

/** Name of checkpoint and consumer of a projection that follows by itself. */
export function catchUpName(projection: string): string {
  return `projection/${projection}`;
}
