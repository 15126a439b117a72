// SPDX-License-Identifier: Apache-2.0
import { join, sep } from 'node:path';

/**
 * The compiled file of a worker that lies beside its caller: `compiledWorker(__dirname, 'pair.worker')`. Threads load JavaScript only,
 * also when the caller runs from its TypeScript source (specs), so `src` is replaced by `dist`.
 */
export function compiledWorker(folder: string, name: string): string {
  const source = `${sep}src`;
  const at = `${folder}${sep}`.lastIndexOf(`${source}${sep}`);
  const compiled = at < 0 ? folder : `${folder.slice(0, at)}${sep}dist${folder.slice(at + source.length)}`;
  return join(compiled, `${name}.js`);
}
