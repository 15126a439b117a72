// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, required, show } from '../cli-context';
import { parseSeconds } from '../output';
import { describePlan } from './describe-plan';

const takeOverOption = ['--take-over', 'also volumes that another plan protects: they come from there with replica, journal and recovery points'] as const;

/** Options of `plan create` that say which volumes may come. */
export function addTakeOverOption(command: Command): Command {
  return command.option(...takeOverOption);
}

/** Volumes join and leave plans. */
export function addPlanVolumeCommands(plan: Command, context: CliContext): void {
  addTakeOverOption(plan.command('add-volume <plan> <volumes...>'))
    .description('protect further volumes; the others of the plan go on as they are')
    .addHelpText('after', '\nA volume that left a plan not long ago comes with its replica and recovery points: only what changed meanwhile is read.\n\nExamples:\n  secondsite plan add-volume web web1-data\n  secondsite plan add-volume web db-disk --take-over')
    .action(async (name: string, volumes: string[], { takeOver = false }: { takeOver?: boolean }, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.addPlanVolumes, { path: { plan: name }, body: { volumes, takeOver } });
      show(context, command, { value, human: describePlan });
    });
  plan
    .command('remove-volume <plan> <volumes...>')
    .description('protect volumes no more; replica and recovery points are kept for a while, and deleted then')
    .option('--keep <duration>', 'how long (default 7d); 0 deletes them at once and needs --confirm')
    .option('--confirm <plan>', 'repeat the name of the plan')
    .addHelpText('after', '\nUntil then it is noted which regions change, and the volume can join a plan again with secondsite plan add-volume; its points can be recovered.\n\nExample:\n  secondsite plan remove-volume web web1-data --keep 30d')
    .action(async (name: string, volumes: string[], { keep, confirm }: { keep?: string; confirm?: string }, command: Command) => {
      const keepSeconds = keep === undefined ? undefined : keep === '0' ? 0 : required(parseSeconds(keep), '--keep is a duration such as 7d.');
      const body = { volumes, ...(keepSeconds === undefined ? {} : { keepSeconds }), ...(confirm === undefined ? {} : { confirm }) };
      const value = await (await connect(context, command)).call(restRoutes.removePlanVolumes, { path: { plan: name }, body });
      const human = ({ left }: typeof value): string => left.map(({ volumeName, keptUntil }) => `volume ${volumeName} left plan ${name}; ${keptUntil === undefined ? 'its replica and recovery points are deleted' : `its replica and recovery points are kept until ${keptUntil}, then they are deleted`}`).join('\n');
      show(context, command, { value, human });
    });
}
