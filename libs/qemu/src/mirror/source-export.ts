// SPDX-License-Identifier: Apache-2.0
// The source disk as a read-only export of QEMU's own NBD server, with a stopped dirty bitmap as meta context on demand.
// QEMU has one NBD server per machine; if somebody else uses it we refuse instead of taking it away.
import { isOperationError, OperationError } from '@secondsite/units';
import { waitUntil } from '../host-tools/wait-until';
import type { QmpClient } from '../qmp/qmp-client';
import { queryExportIds } from './block-graph';
import { exportPrefix } from './mirror-names';

export const sourceExportName = 'source';

export interface SourceExportOptions {
  readonly qmp: QmpClient;
  readonly exportId: string;
  readonly node: string;
  readonly socketPath: string;
  /** A stopped bitmap shown as `qemu:dirty-bitmap:<name>`. */
  readonly bitmap?: string;
}

/** Serves the node on the socket and returns its NBD URI; what this mirror served before is closed first. */
export async function serveSource(options: SourceExportOptions): Promise<string> {
  await withdrawSource(options);
  await startServer(options);
  const bitmaps = options.bitmap === undefined ? [] : [options.bitmap];
  const { exportId, node } = options;
  const name = exportName(exportId);
  await options.qmp.execute('block-export-add', { type: 'nbd', id: exportId, 'node-name': node, name, writable: false, bitmaps });
  return `nbd+unix:///${exportName(exportId)}?socket=${encodeURIComponent(options.socketPath)}`;
}

/** Closes this mirror's export and its connections; repeating it is harmless. */
export async function withdrawSource(options: { qmp: QmpClient; exportId: string }): Promise<void> {
  const { qmp, exportId } = options;
  if (!(await queryExportIds(qmp)).includes(exportId)) return;
  await qmp.execute('block-export-del', { id: exportId, mode: 'hard' });
  await waitUntil({
    probe: async () => ((await queryExportIds(qmp)).includes(exportId) ? undefined : true),
    timeLimitMillis: 10_000,
    operation: 'close the export of the source disk',
    hint: 'A reader of the export may hang; QEMU closes it when its requests end.',
  });
}

function exportName(exportId: string): string {
  return `${sourceExportName}-${exportId.slice(exportPrefix.length)}`;
}

/** Starts QEMU's NBD server on our socket. One left by an earlier process of ours is restarted, as its socket cannot be asked for. */
async function startServer(options: SourceExportOptions): Promise<void> {
  const { qmp, socketPath } = options;
  const others = await queryExportIds(qmp);
  if (others.some((id) => !id.startsWith(exportPrefix))) throw serverInUse(others);
  if (others.length > 0) return; // Another volume of the same machine is served on the same socket.
  try {
    await qmp.execute('nbd-server-stop');
  } catch (error) {
    if (!isOperationError(error, 'qmp/refused')) throw error; // It did not run.
  }
  await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: socketPath } } });
}

function serverInUse(exports: readonly string[]): OperationError {
  return new OperationError({
    code: 'mirror/nbd-server-in-use', operation: 'serve the source disk to the agent', context: { exports: exports.join(', ') }, retryable: true,
    hint: "The machine's NBD server is used by another program, e.g. a backup: try again when that has ended.",
  });
}
