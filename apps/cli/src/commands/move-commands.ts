// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';

interface MoveOptions {
  readonly masterTarget?: string;
  readonly cancel?: boolean;
}

export function addMoveCommand(volume: Command, context: CliContext): void {
  volume
    .command('move <name>')
    .description('move a protected volume to another master target, without reading its source again and with all its recovery points')
    .option('--master-target <target>', 'name or id of the master target that it moves to')
    .option('--cancel', 'stay where it is; what was copied is deleted')
    .addHelpText('after', '\nThe pair is copied from target to target while replication goes on, see secondsite status. At the end the process server keeps what comes for a moment.\nViews that are open stay at the old master target until they are closed.\n\nExamples:\n  secondsite volume move web1-disk --master-target mt2\n  secondsite volume move web1-disk --cancel')
    .action(async (name: string, { masterTarget, cancel }: MoveOptions, command: Command) => {
      if ((masterTarget === undefined) !== (cancel === true)) throw usageError('Give either --master-target TARGET or --cancel.');
      const client = await connect(context, command);
      if (masterTarget === undefined) {
        const value = await client.call(restRoutes.cancelTargetMove, { path: { volume: name } });
        return show(context, command, { value, human: ({ volumeName, fromMasterTargetId }) => `volume ${volumeName} stays at ${fromMasterTargetId}` });
      }
      const value = await client.call(restRoutes.moveToMasterTarget, { path: { volume: name }, body: { masterTarget } });
      show(context, command, { value, human: ({ volumeName, fromMasterTargetId, toMasterTargetId }) => `volume ${volumeName} moves from ${fromMasterTargetId} to ${toMasterTargetId}; secondsite status shows the progress` });
    });
}
