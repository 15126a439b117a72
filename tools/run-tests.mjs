// SPDX-License-Identifier: Apache-2.0
// `./secondsite test`: build, lint, type check and every spec; the last line is `N passed, N failed`.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const reportFile = join(root, '.cache', 'jest-report.json');
const jestMinutesMax = 50;

/** Runs one step; resolves with whether it succeeded. A step past its time limit is killed with everything it started. */
function run({ title, command, args, minutesMax, quiet = false }) {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'] });
    const output = [];
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => output.push(chunk));
    const limit = setTimeout(() => {
      process.stdout.write(`${title}: stopped after ${minutesMax} minutes\n`);
      process.kill(-child.pid, 'SIGKILL');
    }, minutesMax * 60_000);
    child.on('close', (code) => {
      clearTimeout(limit);
      if (code !== 0) process.stdout.write(Buffer.concat(output));
      process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
      resolve(code === 0);
    });
  });
}

function nx(title, args) {
  return run({ title, command: join(bin, 'nx'), args: [...args, '--outputStyle=static'], minutesMax: 15, quiet: true });
}

/** Passed and failed tests of the report; a spec file that could not run counts as one failure. */
function countTests() {
  try {
    const report = JSON.parse(readFileSync(reportFile, 'utf8'));
    return { passed: report.numPassedTests, failed: report.numFailedTests + report.numRuntimeErrorTestSuites, skipped: report.numPendingTests };
  } catch (error) {
    process.stdout.write(`no test report: ${error.message}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

const only = process.argv.slice(2);
mkdirSync(join(root, '.cache'), { recursive: true });
rmSync(reportFile, { force: true });
const steps = [await nx('build', ['run-many', '-t', 'build'])];
if (only.length === 0) steps.push(await nx('lint', ['run', 'secondsite:lint']), await nx('type check', ['run', 'secondsite:typecheck']));
const jestArgs = ['--config', 'jest.config.cjs', '--json', '--outputFile', reportFile, '--maxWorkers', '2', '--forceExit', ...only];
const jestPassed = await run({ title: 'specs', command: process.execPath, args: ['--enable-source-maps', join(root, 'node_modules/jest/bin/jest.js'), ...jestArgs], minutesMax: jestMinutesMax, quiet: false });

const tests = countTests();
const stepsFailed = steps.filter((passed) => !passed).length + (!jestPassed && tests.failed === 0 ? 1 : 0);
const passed = tests.passed + steps.filter(Boolean).length;
const failed = tests.failed + stepsFailed;
if (tests.skipped > 0) process.stdout.write(`${tests.skipped} tests were skipped, each with its reason above\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
