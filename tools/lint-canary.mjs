// SPDX-License-Identifier: Apache-2.0
// Plants violations that lint must reject: a silent rule (no project graph, wrong tags, wrong globs) turns this red.
import { join } from 'node:path';
import { ESLint } from 'eslint';

const root = join(import.meta.dirname, '..');
const planted = [
  { what: 'domain imports an adapter', rule: '@nx/enforce-module-boundaries', code: "import { clockMicros } from '@secondsite/disk-files';\nexport const planted = clockMicros;\n" },
  { what: 'domain imports Nest', rule: '@nx/enforce-module-boundaries', code: "import { Module } from '@nestjs/common';\nexport const planted = Module;\n" },
  { what: 'domain imports node:fs', rule: 'no-restricted-imports', code: "import { readFileSync } from 'node:fs';\nexport const planted = readFileSync;\n" },
  { what: 'domain reads the clock', rule: 'no-restricted-properties', code: 'export const planted = Date.now();\n' },
  { what: 'domain rolls dice', rule: 'no-restricted-properties', code: 'export const planted = Math.random();\n' },
  { what: 'the bus imports Nest', rule: 'no-restricted-imports', file: 'libs/messaging/src/canary.ts', code: "import { Module } from '@nestjs/common';\nexport const planted = Module;\n" },
  { what: 'a library reaches into another', rule: '@nx/enforce-module-boundaries', code: "export { KIB } from '../../units/src/bytes';\n" },
  { what: 'a function of 80 lines', rule: 'max-lines-per-function', code: `export function planted(): void {\n${'  void 0;\n'.repeat(80)}}\n` },
  { what: 'any', rule: '@typescript-eslint/no-explicit-any', code: 'export const planted: any = 1;\n' },
];

const eslint = new ESLint({ cwd: root });
let missed = 0;
for (const { what, rule, code, file = 'libs/change-set/src/canary.ts' } of planted) {
  const [result] = await eslint.lintText(code, { filePath: join(root, file) });
  if (result.messages.some((message) => message.ruleId === rule)) continue;
  missed++;
  process.stderr.write(`lint does not notice: ${what} (${rule}); it said ${JSON.stringify(result.messages.map((message) => message.message))}\n`);
}
process.exit(missed === 0 ? 0 : 1);
