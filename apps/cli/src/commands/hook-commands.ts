// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import { type FreezeHook, restRoutes, type Volume } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { parseSeconds, table } from '../output';

export interface HookOptions {
  readonly fsfreeze?: readonly string[];
  readonly guestAgent?: readonly string[];
  readonly postgresql?: readonly string[];
  readonly mysql?: readonly string[];
  readonly script?: readonly string[];
  readonly limit?: string;
  readonly none?: boolean;
}

/** Throws a usage error unless there are hooks or `--none`. */
export function hooksOf(options: HookOptions): FreezeHook[] {
  const secondsMax = options.limit === undefined ? undefined : parseSeconds(options.limit);
  if (options.limit !== undefined && secondsMax === undefined) throw usageError('--limit is a duration such as 20s.');
  const limit = secondsMax === undefined ? {} : { secondsMax };
  const hooks: FreezeHook[] = [
    ...(options.fsfreeze ?? []).map((folder) => ({ kind: 'fsfreeze' as const, mountPoint: resolve(folder), ...limit })),
    ...(options.guestAgent ?? []).map((socket) => ({ kind: 'guest-agent' as const, socket: resolve(socket), ...limit })),
    ...(options.postgresql ?? []).map((words) => ({ ...postgresql(words), ...limit })),
    ...(options.mysql ?? []).map((file) => ({ kind: 'mysql' as const, defaultsFile: resolve(file), ...limit })),
    ...(options.script ?? []).map((file) => ({ kind: 'script' as const, file: resolve(file), ...limit })),
  ];
  if (hooks.length === 0 && options.none !== true) throw usageError('Give at least one hook, or --none to run none.');
  if (hooks.length > 0 && options.none === true) throw usageError('Give hooks or --none, not both.');
  return hooks;
}

const postgresqlWords = ['socket', 'port', 'user', 'database', 'os-user'];

/** `socket=/var/run/postgresql,user=backup`: whatever is left out has PostgreSQL's usual value. */
function postgresql(words: string): FreezeHook {
  const given = new Map(words.split(',').map((word): [string, string] => [word.split('=')[0] ?? '', word.slice(word.indexOf('=') + 1)]));
  const unknown = [...given.keys()].find((word) => !postgresqlWords.includes(word));
  if (unknown !== undefined) throw usageError(`--postgresql takes ${postgresqlWords.join('=…,')}=…; ${unknown} is none of them.`);
  const osUser = given.get('os-user');
  return {
    kind: 'postgresql', socketFolder: given.get('socket') ?? '/var/run/postgresql', port: Number(given.get('port') ?? 5432),
    user: given.get('user') ?? 'postgres', database: given.get('database') ?? 'postgres', ...(osUser === undefined ? {} : { osUser }),
  };
}

function describeHooks({ name, hooks }: Volume): string {
  if (hooks.length === 0) return `volume ${name}: no hooks`;
  const rows = hooks.map(({ kind, secondsMax, ...where }) => [kind, Object.entries(where).map(([word, value]) => `${word}=${value}`).join(' '), secondsMax === undefined ? '10 s' : `${secondsMax} s`]);
  return `volume ${name}:\n${table(['HOOK', 'WHERE', 'LIMIT'], rows)}`;
}

export function addHookCommands(volume: Command, context: CliContext): void {
  const hooks = volume.command('hooks').description('what stands still on the host while a volume is cut for a bookmark of level file-system or application');
  hooks
    .command('set <volume>')
    .description('choose the hooks; replaces those chosen before')
    .option('--fsfreeze <folders...>', 'mounted file systems (level file-system)')
    .option('--guest-agent <sockets...>', 'QEMU guest agent of the machine, which freezes the file systems in it (level file-system)')
    .option('--postgresql <words...>', 'a checkpoint: socket=FOLDER,port=N,user=U,database=D,os-user=U, all optional (level application)')
    .option('--mysql <files...>', 'tables are locked; option file of the mysql client on the host, with socket, user and password (level application)')
    .option('--script <files...>', 'run on the host with the argument freeze, then thaw (level application)')
    .option('--limit <duration>', 'for each step of each hook (default 10s)')
    .option('--none', 'no hooks')
    .addHelpText('after', '\nExamples:\n  secondsite volume hooks set db-data --fsfreeze /srv/db --postgresql os-user=postgres\n  secondsite volume hooks set db-data --none')
    .action(async (name: string, options: HookOptions, command: Command) => {
      const body = { hooks: hooksOf(options) };
      const value = await (await connect(context, command)).call(restRoutes.setVolumeHooks, { path: { volume: name }, body });
      show(context, command, { value, human: describeHooks });
    });
  hooks
    .command('show <volume>')
    .description('show the hooks of a volume')
    .action(async (name: string, _options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.getVolume, { path: { volume: name } });
      show(context, command, { value, human: describeHooks });
    });
}
