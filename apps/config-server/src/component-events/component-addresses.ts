// SPDX-License-Identifier: Apache-2.0
import { inventoryDecider } from '@secondsite/protection';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { LiveStatus } from '../live/live-status';
import type { ComponentRow, Directory } from '../read-models/directory';

/**
 * Records the addresses that components say in telemetry, whether or not they registered with them. So a restart of this server knows them
 * before it hears anybody, and never takes a pair out of a desired state because an address is missing.
 */
export class ComponentAddresses {
  constructor(private readonly commands: CommandRunner, private readonly live: LiveStatus) {}

  /** One round. Throws what the database throws. */
  async keep(directory: Directory): Promise<void> {
    for (const row of directory.components) {
      const url = this.live.url(row.componentId);
      if (url !== undefined && url !== row.url) await this.#record(row, url);
    }
  }

  async #record({ componentId, role, name }: ComponentRow, url: string): Promise<void> {
    const component = { componentId, role, version: this.live.version(componentId) ?? 'unknown', hostName: name, url };
    await this.commands.run({ actor: { kind: 'component', id: componentId } }, (unit) =>
      unit.decide({ decider: inventoryDecider, streamId: streams.inventory }, { kind: 'register-component', component }),
    );
  }
}
