// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stampFile = join(root, '.cache', 'build-stamp');

/** Name, size and modification time of everything a build reads: unchanged means that dist/ is current. */
function sourcesStamp() {
  const hash = createHash('sha256');
  const patterns = ['{apps,libs}/*/{src/**/*.ts,package.json}', 'bench/{src/**/*.ts,package.json}', 'simulation/{src/**/*.ts,project.json}', 'tools/build-project.mjs', '.swcrc'];
  for (const file of globSync(patterns, { cwd: root }).sort()) {
    const { size, mtimeMs } = statSync(join(root, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function lastStamp() {
  try {
    return readFileSync(stampFile, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

/** Builds what changed with Nx; a fast check first, so that a CLI command does not wait for Nx. Ends the process when a build fails. */
export function buildAll({ quiet }) {
  const stamp = sourcesStamp();
  if (stamp === lastStamp()) return;
  const nx = join(root, 'node_modules', '.bin', 'nx');
  const { status, stdout, stderr } = spawnSync(nx, ['run-many', '-t', 'build', '--outputStyle=static'], { cwd: root, stdio: quiet ? 'pipe' : 'inherit' });
  if (status !== 0) {
    process.stderr.write(`${stdout ?? ''}${stderr ?? ''}\nsecondsite: the build failed, see above\n`);
    process.exit(1);
  }
  mkdirSync(join(root, '.cache'), { recursive: true });
  writeFileSync(stampFile, stamp);
}
