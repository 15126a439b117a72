#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
import { isOperationError } from '@secondsite/units';
import { buildProgram } from './build-program';
import { readConfig } from './config';

/** Ends with 0 only when the command did what it says; failures are one line for people, one JSON document with --json. */
async function main(): Promise<void> {
  const wantsJson = process.argv.includes('--json');
  try {
    const config = readConfig(process.env);
    await buildProgram({ config, print: (line) => console.log(line) }).parseAsync(process.argv);
  } catch (error) {
    process.exitCode = 1;
    if (!isOperationError(error)) throw error;
    const problem = 'problem' in error ? error.problem : { code: error.code, detail: error.message, hint: error.hint, context: error.context };
    console.error(wantsJson ? JSON.stringify(problem, undefined, 2) : `secondsite: ${error.message}`);
  }
}

void main();
