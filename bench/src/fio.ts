// SPDX-License-Identifier: Apache-2.0
import { runProgram } from './run-program';

export interface FioFigures {
  readonly iops: number;
  readonly megabytesPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly seconds: number;
}

interface FioReport {
  readonly jobs: readonly { readonly write: { iops: number; bw_bytes: number; runtime: number; clat_ns: { percentile?: Record<string, number> } }; readonly job_runtime: number }[];
}

/** Runs fio with JSON output and returns the write figures of its first job. */
export async function fio(args: readonly string[]): Promise<FioFigures> {
  const text = await runProgram('fio', [...args, '--output-format=json', '--group_reporting']);
  const report = JSON.parse(text.slice(text.indexOf('{'))) as FioReport;
  const write = report.jobs[0]?.write;
  if (!write) throw new Error(`fio reported no job: ${text.slice(0, 500)}`);
  const percentile = write.clat_ns.percentile ?? {};
  return {
    iops: write.iops,
    megabytesPerSecond: write.bw_bytes / 1e6,
    p50Micros: (percentile['50.000000'] ?? NaN) / 1000,
    p99Micros: (percentile['99.000000'] ?? NaN) / 1000,
    seconds: write.runtime / 1000,
  };
}

/** Arguments for random writes to an NBD export; without `seconds` each block is written once. */
export function nbdWrites({ uri, block, depth, seconds, sizeBytes, extra = [] }: { uri: string; block: string; depth: number; seconds?: number; sizeBytes: number; extra?: readonly string[] }): string[] {
  return [
    '--name=writes', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', `--bs=${block}`, `--iodepth=${depth}`, `--size=${sizeBytes}`,
    ...(seconds === undefined ? [] : ['--time_based', `--runtime=${seconds}`]), '--randrepeat=0', '--refill_buffers=1', ...extra,
  ];
}
