// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show } from '../cli-context';

export function addScrubCommands(program: Command, context: CliContext): void {
  program
    .command('scrub <volume>')
    .description('read replica and journal again now, and compare them with their checksums')
    .addHelpText('after', '\nIt happens by itself every seven days. Blocks that a disk changed are sent again by the source; progress and result are in secondsite status and plan history.')
    .action(async (volume: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.scrubVolume, { path: { volume } });
      show(context, command, { value, human: ({ volumeName, masterTargetId }) => `master target ${masterTargetId} reads volume ${volumeName} again` });
    });
}
