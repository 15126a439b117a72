// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Root folder of the Secondsite repository this file belongs to. */
export function repositoryFolder(from: string = __dirname): string {
  const file = join(from, 'package.json');
  if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === 'secondsite') return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('this package is not inside the Secondsite repository');
  return repositoryFolder(parent);
}

/** Where downloaded and prepared files are kept: `$SECONDSITE_CACHE_DIR`, else `.cache` of the repository. */
export function cacheFolder(): string {
  return process.env['SECONDSITE_CACHE_DIR'] ?? join(repositoryFolder(), '.cache');
}
