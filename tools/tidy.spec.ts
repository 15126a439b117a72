// SPDX-License-Identifier: Apache-2.0
// Style as a test: what lint cannot see.
import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const root = join(__dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const sources = files.filter((file) => /\.(ts|mts)$/.test(file));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

/** File names and relative import targets that make a source file reachable from others or from a runner. */
const entryPoint = /(^|\/)(index|main|bench|simulation|.*\.worker|.*-main|.*-sample|.*-bench|.*\.spec|.*\.migration|golden)\.ts$|^(test|tools|bench)\//;

describe('tidy', () => {
  it('every source file begins with its licence line', () => {
    expect(sources.filter((file) => !/^(#!.*\n)?\/\/ SPDX-License-Identifier: Apache-2\.0\n/.test(text(file)))).toEqual([]);
  });

  it('no test is focused or skipped without saying why', () => {
    const planted = new RegExp(['\\b(it|test|describe)\\.', '(only|todo)\\b|\\bf(it|describe)\\('].join(''));
    expect(sources.filter((file) => planted.test(text(file)))).toEqual([]);
  });

  it('no folder says nothing', () => {
    expect(files.filter((file) => /(^|\/)(utils?|common|helpers?|core|misc)\//.test(file))).toEqual([]);
  });

  it('file names are kebab-case', () => {
    const named = sources.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.ts$/.test(basename(file)));
    expect(named).toEqual([]);
  });

  it('every source file is imported by another one or started by something', () => {
    const imported = new Set<string>();
    for (const file of sources) {
      for (const match of text(file).matchAll(/(?:from|import|require)\s*\(?\s*'(\.[^']*)'/g)) {
        const target = join(dirname(file), match[1] as string);
        imported.add(`${target}.ts`).add(join(target, 'index.ts'));
      }
    }
    expect(sources.filter((file) => !entryPoint.test(file) && !imported.has(file))).toEqual([]);
  });

  it('links between pages lead somewhere', () => {
    const broken: string[] = [];
    for (const page of files.filter((file) => file.endsWith('.md'))) {
      for (const match of text(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)) {
        if (!existsSync(join(root, dirname(page), match[1] as string))) broken.push(`${page} → ${match[1]}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('docs/write-path.md is generated from the sources as they are', () => {
    expect(() => execFileSync(process.execPath, [join(root, 'tools', 'write-path.mjs'), '--check'], { encoding: 'utf8' })).not.toThrow();
  });

  it('every library and app says what it is for', () => {
    const projects = files.filter((file) => /^(libs|apps)\/[^/]+\/package\.json$/.test(file)).map((file) => dirname(file));
    expect(projects.filter((project) => !existsSync(join(root, project, 'README.md')))).toEqual([]);
  });
});
