// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseNbdUri, QmpClient, requireQemu } from '@secondsite/qemu';

/** Node name of the disk in QEMU. */
export const machineDisk = 'disk';

/**
 * A QEMU with a disk and no guest: what a guest would write, an NBD client writes to the top of the disk. It has a QMP socket for the agent, and one
 * of its own.
 */
export class MirroredMachine {
  private constructor(readonly qmpSocket: string, private readonly child: ChildProcess, private readonly qmp: QmpClient) {}

  static async start({ folder, name, image }: { readonly folder: string; readonly name: string; readonly image: string }): Promise<MirroredMachine> {
    const [qmpSocket, ownSocket] = [join(folder, `${name}.qmp`), join(folder, `${name}-own.qmp`)];
    const disk = { driver: 'file', 'node-name': machineDisk, filename: image, discard: 'unmap' };
    const child = spawn((await requireQemu()).system, [
      '-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none', '-blockdev', JSON.stringify(disk),
      '-qmp', `unix:${qmpSocket},server=on,wait=off`, '-qmp', `unix:${ownSocket},server=on,wait=off`,
    ], { stdio: 'ignore' });
    return new MirroredMachine(qmpSocket, child, await QmpClient.connect({ socketPath: ownSocket }));
  }

  /** Mirrors to an NBD server as the agent mirrors to itself, a write is answered when both have it, and serves NBD clients on the socket. */
  async mirrorTo(uri: string, serverSocket: string): Promise<void> {
    const target = parseNbdUri(uri);
    if (!target) throw new Error(`${uri} is no NBD URI`);
    await this.qmp.execute('blockdev-add', { driver: 'nbd', 'node-name': 'target', server: target.server, export: target.exportName });
    await this.qmp.execute('blockdev-mirror', { 'job-id': 'mirror', device: machineDisk, target: 'target', sync: 'none', 'copy-mode': 'write-blocking' });
    await this.qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: serverSocket } } });
  }

  /** Exports the top of the disk, which is its mirror, on the NBD server that runs already on this socket; the URI to write to. */
  async exportMirror(serverSocket: string): Promise<string> {
    const nodes = (await this.qmp.execute('query-named-block-nodes', { flat: true })) as readonly { readonly 'node-name': string; readonly drv: string }[];
    const mirror = nodes.find(({ drv }) => drv === 'mirror_top');
    if (!mirror) throw new Error('no mirror runs in QEMU');
    await this.qmp.execute('block-export-add', { type: 'nbd', id: 'application', 'node-name': mirror['node-name'], name: machineDisk, writable: true });
    return `nbd+unix:///${machineDisk}?socket=${serverSocket}`;
  }

  /** After this the agent may change the block graph again. */
  async withdraw(): Promise<void> {
    await this.qmp.execute('block-export-del', { id: 'application', mode: 'hard' });
  }

  async stop(): Promise<void> {
    this.qmp.close();
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}
