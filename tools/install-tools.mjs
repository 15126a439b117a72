// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs that the demo, the benchmarks and the tests use beside our own, and the Debian packages that bring them. */
const programs = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  nbdkit: 'nbdkit',
  nbdinfo: 'libnbd-bin',
  nbdcopy: 'libnbd-bin',
  fio: 'fio',
  mke2fs: 'e2fsprogs',
  cpio: 'cpio',
  sqlite3: 'sqlite3',
  rsync: 'rsync',
  xxhsum: 'xxhash',
};

/** What the tests alone need; none of these packages starts a server. */
const testPrograms = {
  psql: 'postgresql-client',
  mariadbd: 'mariadb-server-core',
  mysql: 'mariadb-client-core',
};

function isInstalled(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function apt(args) {
  const { status, stderr } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  if (status !== 0) process.stderr.write(`secondsite: apt-get ${args[0]} failed: ${String(stderr).trim().split('\n').at(-1)}\n`);
  return status === 0;
}

/** Installs what is missing with apt when root; otherwise says in one line which parts will be left out. Never fails: the parts do. */
export function installTools({ forTests = false } = {}) {
  const wanted = forTests ? { ...programs, ...testPrograms } : programs;
  const missing = Object.keys(wanted).filter((program) => !isInstalled(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => wanted[program]))];
  if (process.getuid?.() !== 0) {
    process.stderr.write(`secondsite: not root and missing ${missing.join(', ')}: what needs them is skipped (apt-get install ${packages.join(' ')})\n`);
    return;
  }
  process.stderr.write(`secondsite: installing ${packages.join(' ')} (once)\n`);
  apt(['update', '-qq']);
  apt(['install', '-y', '-qq', '--no-install-recommends', ...packages]);
}
