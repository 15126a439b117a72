// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show } from '../cli-context';

export function addResyncCommands(program: Command, context: CliContext): void {
  program
    .command('resync <volume>')
    .description('read the whole volume again; one that needs it anyway does not wait for its time')
    .addHelpText('after', '\nSo many pairs at once read their whole volume, see secondsite status; the others wait for their turn and stay in sync meanwhile.')
    .action(async (volume: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.requestResync, { path: { volume } });
      const when = value.place === undefined ? 'it begins now' : `place ${value.place} of the queue`;
      show(context, command, { value, human: ({ volumeName }) => `volume ${volumeName} is read again: ${when}` });
    });
}
