// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';

interface MoveOptions {
  readonly processServer?: string;
  readonly giveUp?: boolean;
  readonly masterTarget?: string;
  readonly cancel?: boolean;
}

const help = `
To another process server: the old one goes on until it has nothing left. One that is dead is given up by itself after 10 min.
To another master target: the pair is copied from target to target while replication goes on; at the end the process server keeps what comes for a
moment. Views that are open stay at the old master target until they are closed.
secondsite plan status says how far it is.

Examples:
  secondsite volume move web1-disk --process-server ps-2
  secondsite volume move web1-disk --master-target mt-2
  secondsite volume move web1-disk --cancel`;

/** Moves of a pair. */
export function addMoveCommand(volume: Command, context: CliContext): void {
  volume
    .command('move <name>')
    .description('let another process server carry the change sets of a protected volume, or another master target keep them; no baseline, no gap in its recovery points')
    .option('--process-server <name>', 'name or id of a process server that is online')
    .option('--give-up', 'with --process-server: do not wait until the old one has forwarded what it has: that is read again from the source')
    .option('--master-target <name>', 'name or id of a master target that is online')
    .option('--cancel', 'stay at the master target where it is; what was copied is deleted')
    .addHelpText('after', help)
    .action(async (name: string, options: MoveOptions, command: Command) => {
      const { processServer, masterTarget, cancel, giveUp } = options;
      if ([processServer, masterTarget, cancel].filter((given) => given !== undefined).length !== 1) throw usageError('Give one of --process-server, --master-target and --cancel.');
      if (giveUp && processServer === undefined) throw usageError('--give-up belongs to --process-server.');
      if (processServer !== undefined) return moveToProcessServer(name, { processServer, giveUp }, { context, command });
      if (masterTarget !== undefined) return moveToMasterTarget(name, masterTarget, { context, command });
      const value = await (await connect(context, command)).call(restRoutes.cancelTargetMove, { path: { volume: name } });
      show(context, command, { value, human: ({ volumeName, fromMasterTargetId }) => `volume ${volumeName} stays at ${fromMasterTargetId}` });
    });
}

interface Invocation {
  readonly context: CliContext;
  readonly command: Command;
}

async function moveToProcessServer(volume: string, { processServer, giveUp }: { readonly processServer: string; readonly giveUp: boolean | undefined }, { context, command }: Invocation): Promise<void> {
  const body = { processServer, ...(giveUp ? { giveUp } : {}) };
  const value = await (await connect(context, command)).call(restRoutes.moveVolume, { path: { volume }, body });
  show(context, command, { value, human: ({ volumeName, move }) => (move ? `volume ${volumeName}: ${move.words}` : `volume ${volumeName} is with process server ${processServer}`) });
}

async function moveToMasterTarget(volume: string, masterTarget: string, { context, command }: Invocation): Promise<void> {
  const value = await (await connect(context, command)).call(restRoutes.moveToMasterTarget, { path: { volume }, body: { masterTarget } });
  show(context, command, { value, human: ({ volumeName, fromMasterTargetId, toMasterTargetId }) => `volume ${volumeName} moves from ${fromMasterTargetId} to ${toMasterTargetId}; secondsite plan status shows the progress` });
}
