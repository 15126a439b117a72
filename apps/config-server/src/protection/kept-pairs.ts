// SPDX-License-Identifier: Apache-2.0
import { pairDecider } from '@secondsite/protection';
import { microsFromIso } from '@secondsite/units';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { DirectoryCache } from '../read-models/directory-cache';
import { keptPairs } from '../read-models/find';
import type { ServerClock } from '../server-clock';

const keeper = { actor: { kind: 'system', id: 'kept-pairs' } } as const;

/** Pairs whose volume left its plan are removed with their data when their time is over. */
export class KeptPairs {
  constructor(private readonly parts: { readonly commands: CommandRunner; readonly directories: DirectoryCache; readonly clock: Pick<ServerClock, 'now'> }) {}

  /** One round. Throws what the database throws. */
  async look(): Promise<void> {
    const { commands, directories, clock } = this.parts;
    const over = keptPairs(await directories.load()).filter(({ keptUntil }) => (microsFromIso(keptUntil ?? '') ?? Infinity) <= clock.now());
    for (const { pairId } of over) {
      await commands.run(keeper, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, { kind: 'remove-kept' }));
    }
  }
}
