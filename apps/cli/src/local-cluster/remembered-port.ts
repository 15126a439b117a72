// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, writeWhole } from '@secondsite/embedded-services';

/** A free port, the same as the last time when it is still free: peers remember addresses across restarts. */
export async function rememberedPort(folder: string): Promise<number> {
  const file = join(folder, 'listen-port');
  const port = await freePort(existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
  writeWhole(file, String(port));
  return port;
}
