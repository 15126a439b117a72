// SPDX-License-Identifier: Apache-2.0
// Compiles one project's src/ to dist/ (CommonJS, source maps). The project is the folder given, or this one.
import { glob, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { transformFile } from '@swc/core';

const swcrcFile = join(import.meta.dirname, '..', '.swcrc');
process.chdir(process.argv[2] ?? '.');

async function compile(file) {
  const target = join('dist', relative('src', file)).replace(/\.ts$/, '.js');
  const { code, map } = await transformFile(file, { configFile: swcrcFile, filename: file });
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, `${code}//# sourceMappingURL=${target.split('/').pop()}.map\n`);
  await writeFile(`${target}.map`, map ?? '{}');
}

await rm('dist', { recursive: true, force: true });
const files = [];
for await (const file of glob('src/**/*.ts')) if (!file.endsWith('.spec.ts')) files.push(file);
await Promise.all(files.map(compile));
