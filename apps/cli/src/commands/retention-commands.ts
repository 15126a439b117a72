// SPDX-License-Identifier: Apache-2.0
import { type RetentionPreview, restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, required, show } from '../cli-context';
import { humanBytes, table } from '../output';
import { describePlan } from './describe-plan';
import { type PointOptions, pointRequestOf } from './recovery-commands';
import { addRetentionOptions, changedRetention, type RetentionOptions } from './retention-options';

function previewText({ volumes }: RetentionPreview): string {
  return volumes
    .map(({ volumeName, earliestNow, earliestThen, dropped, droppedBookmarks, freedBytes }) => {
      const head = `${volumeName}: oldest point now ${earliestNow ?? '–'}, then ${earliestThen ?? '–'}; ${humanBytes(freedBytes)} are free at once`;
      const bookmarks = table(['BOOKMARK DROPPED', 'NAME', 'LEVEL'], droppedBookmarks.map(({ time, name, level }) => [time, name, level]));
      return `${head}\n${table(['DROPPED FROM', 'TO'], dropped.map(({ from, to }) => [from, to]))}\n${bookmarks}`;
    })
    .join('\n\n');
}

function addRetentionChanges(plan: Command, context: CliContext): void {
  addRetentionOptions(plan.command('set-retention <name>').description('change what is kept of the recovery points, at once; what is not given stays. See preview-retention'))
    .addHelpText('after', '\nExample:\n  secondsite plan set-retention web --keep "all for 24h" --keep "every 4h until 7d" --keep "user bookmarks until 28d"')
    .action(async (name: string, options: RetentionOptions, command: Command) => {
      const client = await connect(context, command);
      const { retention: current } = await client.call(restRoutes.getPlanStatus, { path: { plan: name } });
      const value = await client.call(restRoutes.changePlan, { path: { plan: name }, body: { retention: changedRetention(current, options) } });
      show(context, command, { value, human: describePlan });
    });
  addRetentionOptions(plan.command('preview-retention <name>').description('what another retention would drop; nothing is changed'))
    .action(async (name: string, options: RetentionOptions, command: Command) => {
      const client = await connect(context, command);
      const { retention: current } = await client.call(restRoutes.getPlanStatus, { path: { plan: name } });
      const value = await client.call(restRoutes.previewRetention, { path: { plan: name }, body: { retention: changedRetention(current, options) } });
      show(context, command, { value, human: previewText });
    });
}

function addPins(program: Command, context: CliContext): void {
  const point = program.command('point').description('recovery points that are kept whatever retention says');
  point
    .command('pin <plan> <name>')
    .description('name a point of a plan and keep it until it is unpinned')
    .option('--at <time>', 'ISO 8601 with any fraction, or a span before now such as -90s')
    .option('--bookmark <name>', 'a bookmark')
    .option('--latest', 'the newest point')
    .action(async (plan: string, name: string, options: PointOptions, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.pinPoint, { path: { plan }, body: { name, point: pointRequestOf(options) } });
      show(context, command, { value, human: describePlan });
    });
  point
    .command('unpin <plan> <name>')
    .description('let a pinned point go')
    .action(async (plan: string, pin: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.unpinPoint, { path: { plan, pin } });
      show(context, command, { value, human: describePlan });
    });
}

/** Ladders, their preview, and pins (F23). */
export function addRetentionCommands(program: Command, context: CliContext): void {
  const plan = required(program.commands.find((command) => command.name() === 'plan'), 'there is no command plan');
  addRetentionChanges(plan, context);
  addPins(program, context);
}
