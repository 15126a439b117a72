// SPDX-License-Identifier: Apache-2.0
// Runs under the pinned Node: makes the repository ready for a command, then starts it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildAll } from './build-all.mjs';
import { installTools } from './install-tools.mjs';

const root = join(import.meta.dirname, '..');
const [command = 'help', ...rest] = process.argv.slice(2);

/** Commands of the repository itself; every other one is the CLI's. */
const repositoryCommands = {
  test: { script: 'tools/run-tests.mjs', needsTools: true, needsBuild: false },
  bench: { script: 'bench/dist/bench.js', needsTools: true, needsBuild: true },
  // Without root nothing can be installed, and the demo says itself what it misses.
  demo: { script: 'apps/cli/dist/main.js', needsTools: process.getuid?.() === 0, needsBuild: true, args: ['demo'] },
};
const plan = repositoryCommands[command] ?? { script: 'apps/cli/dist/main.js', needsTools: false, needsBuild: true, args: [command] };

if (plan.needsTools) installTools({ forTests: command === 'test' });
if (plan.needsBuild) buildAll({ quiet: true });
const { status, signal } = spawnSync(process.execPath, ['--enable-source-maps', join(root, plan.script), ...(plan.args ?? []), ...rest], { stdio: 'inherit' });
process.exit(signal ? 130 : (status ?? 1));
