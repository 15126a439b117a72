// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import { restRoutes, type Volume } from '@secondsite/contracts';
import type { Command } from 'commander';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { humanBytes, table } from '../output';
import { addHookCommands } from './hook-commands';
import { addMoveCommand } from './move-commands';

interface AddOptions {
  readonly host: string;
  readonly image?: string;
  readonly qmp?: string;
  readonly device?: string;
}

function tapOf(options: AddOptions): Volume['tap'] {
  if (options.image !== undefined && options.qmp === undefined) return { kind: 'nbd', source: resolve(options.image) };
  if (options.image === undefined && options.qmp !== undefined && options.device !== undefined) {
    return { kind: 'qemu', qmpSocket: resolve(options.qmp), device: options.device };
  }
  throw usageError('Give either --image FILE_OR_DEVICE, or --qmp SOCKET with --device ID.');
}

function describe(volume: Volume): string {
  if (volume.tap.kind === 'qemu') return `volume ${volume.name} added; the writes of device ${volume.tap.device} are mirrored to the agent`;
  const uris = volume.nbdUris.length > 0 ? volume.nbdUris.join('\n') : '(the agent has not exported it yet; see secondsite volume list)';
  return `volume ${volume.name} added; use this as the disk:\n${uris}`;
}

function protectionOf({ planId, keptUntil }: Volume): string {
  if (keptUntil !== undefined) return `none, replica kept until ${keptUntil}`;
  return planId === undefined ? 'none' : 'plan';
}

export function addVolumeCommands(program: Command, context: CliContext): void {
  const volume = program.command('volume').description('disks of the hosts');
  volume
    .command('add <name>')
    .description('add a disk: behind an NBD export of the agent, or of a running virtual machine (agentless)')
    .requiredOption('--host <host>', 'the host whose agent sees the disk')
    .option('--image <fileOrDevice>', 'raw image or block device; prints the NBD URI to use as the disk')
    .option('--qmp <socket>', 'QMP socket of a running QEMU')
    .option('--device <id>', 'with --qmp: block device or node of that QEMU')
    .addHelpText('after', '\nExamples:\n  secondsite volume add web1-disk --host web1 --image /srv/web1.img\n  secondsite volume add db-disk --host hv1 --qmp /run/db.qmp --device disk0')
    .action(async (name: string, options: AddOptions, command: Command) => {
      const body = { name, host: options.host, tap: tapOf(options) };
      const value = await (await connect(context, command)).call(restRoutes.addVolume, { body });
      show(context, command, { value, human: describe });
    });
  volume
    .command('list')
    .description('list the volumes')
    .action(async (_options: object, command: Command) => {
      const value = await (await connect(context, command)).call(restRoutes.listVolumes);
      const rows = value.volumes.map((row) => [row.name, row.hostName, row.tap.kind, row.sizeBytes === undefined ? '–' : humanBytes(row.sizeBytes), protectionOf(row), row.nbdUris[0]]);
      show(context, command, { value, human: () => table(['VOLUME', 'HOST', 'TAP', 'SIZE', 'PROTECTION', 'DISK'], rows) });
    });
  volume
    .command('remove <name>')
    .description('forget a volume that no plan protects; its source is left as it is')
    .action(async (name: string, _options: object, command: Command) => {
      await (await connect(context, command)).call(restRoutes.removeVolume, { path: { volume: name } });
      show(context, command, { value: { removed: name }, human: () => `volume ${name} removed` });
    });
  addMoveCommand(volume, context);
  addHookCommands(volume, context);
}
