// SPDX-License-Identifier: Apache-2.0
import { open as openInspector, url as ownInspectorUrl } from 'node:inspector';
import { readFile } from 'node:fs/promises';
import { waitFor } from '@secondsite/cli/testing';

/** Processes started with this choose a port of their own for the inspector that SIGUSR1 opens. */
export const inspectableEnvironment = { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' } as const;

/** Opens the inspector of a running Node process, started with `inspectableEnvironment`, and reads its address from the log of the process. Only once. */
export async function inspectorUrlOf({ pid, logFile }: { readonly pid: number; readonly logFile: string }): Promise<string> {
  const before = (await readFile(logFile, 'utf8')).length;
  let url: string | undefined;
  process.kill(pid, 'SIGUSR1');
  await waitFor(`process ${pid} to open its inspector`, 10, async () => {
    url = /Debugger listening on (ws:\S+)/.exec((await readFile(logFile, 'utf8')).slice(before))?.[1];
    return url !== undefined;
  });
  return url as unknown as string;
}

/** The same of this process. */
export function ownInspector(): string {
  if (ownInspectorUrl() === undefined) openInspector(0, '127.0.0.1');
  return ownInspectorUrl() as string;
}
