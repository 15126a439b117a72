// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show } from '../cli-context';
import { humanBytes, table } from '../output';

export function addQuarantineCommands(program: Command, context: CliContext): void {
  program
    .command('quarantine')
    .description('change sets that were refused for good: late ones of an epoch that is over')
    .command('list [planOrVolume]')
    .description('what is kept aside, where, since when and why; it is never applied')
    .addHelpText('after', '\nThe files are in the data folder of the component: quarantine/ of the pair at a master target, refused/ at a process server.')
    .action(async (of: string | undefined, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listQuarantine, { query: of === undefined ? {} : { of } });
      const rows = value.sets.map((set) => [set.volumeName, set.epoch, set.sequence, humanBytes(set.bytes), set.keptAt, set.component.role, set.reason]);
      const silent = value.silent.map((component) => `\n${component} did not answer`).join('');
      show(context, command, { value, human: () => `${table(['VOLUME', 'EPOCH', 'SEQUENCE', 'BYTES', 'KEPT AT', 'WHERE', 'WHY'], rows)}${silent}` });
    });
}
