// SPDX-License-Identifier: Apache-2.0
import { type BookmarkLevel, bookmarkLevelSchema, restRoutes } from '@secondsite/contracts';
import { type Command, Option } from 'commander';
import { type CliContext, connect, show } from '../cli-context';

interface CreateOptions {
  readonly level?: BookmarkLevel;
  readonly orLower?: boolean;
}

export function addBookmarkCommands(program: Command, context: CliContext): void {
  program
    .command('bookmark')
    .description('named cuts across the volumes and hosts of a plan')
    .command('create <plan> <name>')
    .description('cut all volumes of a plan, on all its hosts, at one point and name it')
    .addOption(new Option('--level <level>', 'what shall stand still; file-system and application run the hooks of the volumes (default user: nothing)').choices(bookmarkLevelSchema.options))
    .option('--or-lower', 'make it at the level that holds when a hook fails, instead of refusing it')
    .addHelpText('after', '\nExamples:\n  secondsite bookmark create web before-update\n  secondsite bookmark create web nightly --level application --or-lower')
    .action(async (plan: string, name: string, { level, orLower }: CreateOptions, command: Command) => {
      const body = { name, ...(level === undefined ? {} : { level }), ...(orLower === undefined ? {} : { orLower }) };
      const value = await (await connect(context, command)).call(restRoutes.createBookmark, { path: { plan }, body });
      const human = (): string => {
        const held = value.holds.map(({ hostId, heldMillis }) => `${heldMillis.toFixed(1)} ms${value.holds.length > 1 ? ` on ${hostId}` : ''}`).join(', ');
        const hooks = value.hooks.map(({ hook, step, outcome, millis, reason }) => `\n  ${hook} ${step}: ${outcome} in ${millis.toFixed(0)} ms${reason === undefined ? '' : `, ${reason}`}`);
        return `bookmark ${value.name} at ${value.time}, level ${value.level}, writes held ${held}${hooks.join('')}`;
      };
      show(context, command, { value, human });
    });
}
