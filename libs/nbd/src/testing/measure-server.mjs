// SPDX-License-Identifier: Apache-2.0
// Compares the built server over a FileDevice with `nbdkit file`, by fio's nbd engine, on unix sockets, interleaved, medians.
// Usage: node src/testing/measure-server.mjs [rounds] [seconds]. The folder for the images is TMPDIR.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const rounds = Number(process.argv[2] ?? 5);
const seconds = process.argv[3] ?? '2';
const folder = mkdtempSync(join(tmpdir(), 'nbd-measure-'));
const imageBytes = 512 * 1024 * 1024;
const dist = join(import.meta.dirname, '..', '..', 'dist');
const serve = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { NbdServer } = require(workerData.dist);
  const { FileDevice } = require(workerData.dist + '/testing');
  const server = new NbdServer();
  server.addExport({ name: '', device: new FileDevice(workerData.image) });
  server.listen({ unixSocket: workerData.socket }).then(() => parentPort.postMessage('ready'));`;

function image(name) {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(imageBytes, 1));
  return path;
}

function fio(socket, { pattern, block, depth }) {
  const said = execFileSync('fio', ['--name=m', '--ioengine=nbd', `--uri=nbd+unix:///?socket=${socket}`, `--rw=${pattern}`, `--bs=${block}`, `--iodepth=${depth}`, `--size=${imageBytes}`, '--time_based', `--runtime=${seconds}`, '--output-format=json'], { encoding: 'utf8' });
  const job = JSON.parse(said.slice(said.indexOf('{'))).jobs[0];
  const side = job.write.io_bytes > 0 ? job.write : job.read;
  return { iops: side.iops, p50Micros: side.clat_ns.percentile['50.000000'] / 1000 };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const ours = join(folder, 'ours');
const theirs = join(folder, 'theirs');
const worker = new Worker(serve, { eval: true, workerData: { dist, image: image('ours.img'), socket: ours } });
await new Promise((resolve) => worker.once('message', resolve));
const nbdkit = spawn('nbdkit', ['-f', '-U', theirs, 'file', image('theirs.img')], { stdio: 'ignore' });
while (!existsSync(theirs)) await delay(5);
for (const load of [
  { pattern: 'randwrite', block: '4k', depth: 32 },
  { pattern: 'randwrite', block: '4k', depth: 1 },
  { pattern: 'randwrite', block: '64k', depth: 16 },
  { pattern: 'randwrite', block: '1m', depth: 8 },
  { pattern: 'randread', block: '4k', depth: 32 },
  { pattern: 'randread', block: '64k', depth: 16 },
]) {
  const results = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const who of round % 2 ? ['ours', 'theirs'] : ['theirs', 'ours']) results[who].push(fio(who === 'ours' ? ours : theirs, load));
  }
  const of = (who, what) => median(results[who].map((result) => result[what]));
  const ratio = (what) => (of('ours', what) / of('theirs', what)).toFixed(2);
  const line = `${load.pattern} ${load.block} depth ${load.depth}: ${Math.round(of('ours', 'iops'))} IOPS, p50 ${of('ours', 'p50Micros').toFixed(0)} us; nbdkit ${Math.round(of('theirs', 'iops'))}, ${of('theirs', 'p50Micros').toFixed(0)} us; IOPS x${ratio('iops')}, p50 x${ratio('p50Micros')}`;
  process.stdout.write(`${line}\n`);
}
await worker.terminate();
nbdkit.kill();
rmSync(folder, { recursive: true });
