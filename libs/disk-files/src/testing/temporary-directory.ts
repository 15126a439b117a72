// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskDirectory } from '../disk-directory';

/** A fresh real folder for one test; `dispose` removes it with all that is in it. */
export async function temporaryDirectory(): Promise<{ readonly directory: DiskDirectory; readonly path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'secondsite-'));
  return { directory: new DiskDirectory(path), path, dispose: () => rm(path, { recursive: true, force: true }) };
}
