// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { restRoutes, type View } from '@secondsite/contracts';
import { bootGuest, buildGuest, probeAccelerator } from '@secondsite/qemu';
import type { Command } from 'commander';
import type { ApiClient } from '../api-client';
import { type CliContext, connect, show, usageError } from '../cli-context';
import { guestCacheFolder } from '../config';
import { humanBytes } from '../output';
import { copyView } from '../restore/copy-view';
import { type PointOptions, pointRequestOf } from './recovery-commands';

/** Opens views for the time of the act and closes them whatever happens. */
async function withViews<Result>({ client, of, options, readWrite }: { client: ApiClient; of: string; options: PointOptions; readWrite: boolean }, act: (views: readonly View[]) => Promise<Result>): Promise<Result> {
  const opened = await client.call(restRoutes.openViews, { body: { of, point: pointRequestOf(options), readWrite } });
  try {
    return await act(opened.views);
  } finally {
    for (const view of opened.views) await client.call(restRoutes.closeView, { path: { viewId: view.viewId } });
  }
}

function addRestore(program: Command, context: CliContext): void {
  program
    .command('restore <volume>')
    .description('copy the disk as it was to a sparse file or a device')
    .requiredOption('--to <fileOrDevice>', 'an existing file is not overwritten; a device is')
    .option('--at <time>', 'ISO 8601 with any fraction, or a span before now such as -90s')
    .option('--bookmark <name>', 'a bookmark')
    .option('--latest', 'the newest point')
    .addHelpText('after', '\nExample:\n  secondsite restore web1-disk --at -90s --to /srv/web1-restored.img')
    .action(async (volume: string, options: PointOptions & { to: string }, command: Command) => {
      const client = await connect(context, command);
      const value = await withViews({ client, of: volume, options, readWrite: false }, async (views) => {
        const view = views[0];
        if (!view || views.length > 1) throw usageError('Restore takes one volume; a plan is restored volume by volume at the same --at.');
        return { pointTime: view.pointTime, to: options.to, ...(await copyView({ uri: view.nbdUris[0] as string, to: options.to })) };
      });
      show(context, command, { value, human: (done) => `${volume} as of ${done.pointTime} → ${done.to}: ${humanBytes(done.sizeBytes)}, ${humanBytes(done.copiedBytes)} of it data, ${done.seconds.toFixed(1)} s` });
    });
}

function addBoot(program: Command, context: CliContext): void {
  program
    .command('boot <planOrVolume>')
    .description('boot the disk as it was in QEMU, print its console and the time to boot; what it writes is dropped at the end')
    .option('--at <time>', 'ISO 8601 with any fraction, or a span before now such as -90s')
    .option('--bookmark <name>', 'a bookmark')
    .option('--latest', 'the newest point')
    .option('--check', 'let the demonstration guest check its data and power off')
    .option('--seconds <count>', 'give up when it has not booted by then', Number, 120)
    .action(async (of: string, options: PointOptions & { check?: boolean; seconds: number }, command: Command) => {
      const client = await connect(context, command);
      const value = await withViews({ client, of, options, readWrite: true }, async (views) => bootView({ context, view: views[0] as View, ...options }));
      show(context, command, { value, human: (done) => `booted as of ${done.pointTime}: init after ${done.secondsToInit.toFixed(2)} s, ready after ${done.secondsToReady.toFixed(2)} s` });
    });
}

async function bootView({ context, view, check, seconds }: { context: CliContext; view: View; check?: boolean; seconds: number }) {
  const cacheFolder = guestCacheFolder();
  const guest = await buildGuest(join(cacheFolder, 'guest'));
  const accelerator = await probeAccelerator({ guest, cacheFolder });
  const machine = await bootGuest({ guest, accelerator, disk: view.nbdUris[0] as string, mode: check ? 'check' : 'idle' });
  const console: string[] = [];
  const stopListening = machine.console.onLine((line) => {
    console.push(line.text);
    if (!process.argv.includes('--json')) context.print(line.text);
  });
  try {
    const init = await machine.waitForLine(/^SECONDSITE-INIT /, seconds * 1000);
    const ready = await machine.waitForLine(check ? /^CHECK-FILE / : /^SECONDSITE-READY /, seconds * 1000);
    const since = (time: number): number => (time - machine.startedMicros) / 1e6;
    return { pointTime: view.pointTime, secondsToInit: since(init.receivedMicros), secondsToReady: since(ready.receivedMicros), accelerator, console };
  } finally {
    stopListening();
    await machine.kill();
  }
}

export function addRestoreCommands(program: Command, context: CliContext): void {
  addRestore(program, context);
  addBoot(program, context);
}
