// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder that other users may enter (the database runs as one). */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `secondsite-${name}-`));
  chmodSync(folder, 0o755);
  return folder;
}
