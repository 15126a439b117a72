// SPDX-License-Identifier: Apache-2.0
import { type PointRequest, restRoutes } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { table } from '../output';

export interface PointOptions {
  readonly at?: string;
  readonly bookmark?: string;
  readonly latest?: boolean;
}

/** Exactly one of --at, --bookmark and --latest. */
export function pointRequestOf(options: PointOptions): PointRequest {
  const given: PointRequest[] = [];
  if (options.at !== undefined) given.push({ kind: 'at', time: options.at });
  if (options.bookmark !== undefined) given.push({ kind: 'bookmark', name: options.bookmark });
  if (options.latest) given.push({ kind: 'latest' });
  if (given.length !== 1) throw usageError('Give exactly one of --at T, --bookmark NAME and --latest.');
  return given[0] as PointRequest;
}

export function addPointCommands(program: Command, context: CliContext): void {
  program
    .command('points <planOrVolume>')
    .description('recovery points: ranges in which any write can be recovered to, and bookmarks')
    .option('--from <time>', 'ISO 8601 or a span before now such as -90s')
    .option('--to <time>', 'likewise')
    .action(async (of: string, options: { from?: string; to?: string }, command: Command) => {
      const query = { of, ...(options.from ? { from: options.from } : {}), ...(options.to ? { to: options.to } : {}) };
      const value = await (await connect(context, command)).call(restRoutes.listPoints, { query });
      const ranges = value.common.ranges.map((range) => [range.from, range.to, range.from === range.to ? 'this point' : range.green ? 'any write' : 'none between']);
      const bookmarks = value.common.bookmarks.map((bookmark) => [bookmark.time, bookmark.name, bookmark.level]);
      const cold = value.volumes.flatMap(({ volumeName, localFrom }) => (localFrom === undefined ? [] : [`\n${volumeName}: points before ${localFrom} are in the cold store`])).join('');
      const human = (): string => `common to ${value.volumes.length} volume(s), latest ${value.common.latest ?? '–'}\n${table(['FROM', 'TO', 'POINTS'], ranges)}\n\n${table(['BOOKMARK AT', 'NAME', 'LEVEL'], bookmarks)}${cold}`;
      show(context, command, { value, human });
    });
}

export function addViewCommands(program: Command, context: CliContext): void {
  const view = program.command('view').description('disks as they were, served over NBD at once');
  view
    .command('open <planOrVolume>')
    .description('open a view of a volume, or of every volume of a plan at one common point')
    .option('--at <time>', 'ISO 8601 with any fraction, or a span before now such as -90s')
    .option('--bookmark <name>', 'a bookmark')
    .option('--latest', 'the newest point')
    .option('--rw', 'writable; what is written is kept apart and dropped on close')
    .addHelpText('after', '\nExamples:\n  secondsite view open web --at 2026-11-21T22:50:32.5Z\n  secondsite view open web1-disk --at -90s --rw')
    .action(async (of: string, options: PointOptions & { rw?: boolean }, command: Command) => {
      const body = { of, point: pointRequestOf(options), readWrite: options.rw ?? false };
      const value = await (await connect(context, command)).call(restRoutes.openViews, { body });
      const human = (): string => value.views.map((opened) => `${opened.volumeName} as of ${opened.pointTime}  (${opened.viewId})\n${opened.nbdUris.join('\n')}`).join('\n');
      show(context, command, { value, human });
    });
  view
    .command('list')
    .description('list the open views')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listViews);
      const rows = value.views.map((row) => [row.viewId, row.volumeName, row.pointTime, row.readWrite ? 'rw' : 'ro', row.nbdUris[0]]);
      show(context, command, { value, human: () => table(['VIEW', 'VOLUME', 'AS OF', 'MODE', 'DISK'], rows) });
    });
  view
    .command('close <id>')
    .description('close a view; what was written to it is dropped')
    .action(async (viewId: string, _options: object, command: Command) => {
      await (await connect(context, command)).call(restRoutes.closeView, { path: { viewId } });
      show(context, command, { value: { closed: viewId }, human: () => `view ${viewId} closed` });
    });
}
