// SPDX-License-Identifier: Apache-2.0
import { runProgram } from './run-program';

export interface FioFigures {
  readonly iops: number;
  readonly megabytesPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly seconds: number;
}

interface DirectionReport {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly runtime: number;
  readonly total_ios: number;
  readonly clat_ns: { readonly percentile?: Record<string, number> };
}

interface FioReport {
  readonly jobs: readonly { readonly read: DirectionReport; readonly write: DirectionReport }[];
}

/** Runs fio with JSON output and returns the figures of its first job, which only reads or only writes. */
export async function fio(args: readonly string[]): Promise<FioFigures> {
  const text = await runProgram('fio', [...args, '--output-format=json', '--group_reporting']);
  const job = (JSON.parse(text.slice(text.indexOf('{'))) as FioReport).jobs[0];
  if (!job) throw new Error(`fio reported no job: ${text.slice(0, 500)}`);
  const figures = job.write.total_ios > 0 ? job.write : job.read;
  const percentile = figures.clat_ns.percentile ?? {};
  return {
    iops: figures.iops,
    megabytesPerSecond: figures.bw_bytes / 1e6,
    p50Micros: (percentile['50.000000'] ?? NaN) / 1000,
    p99Micros: (percentile['99.000000'] ?? NaN) / 1000,
    seconds: figures.runtime / 1000,
  };
}

export interface DiskLoad {
  readonly uri: string;
  readonly pattern: 'randwrite' | 'write' | 'randread';
  readonly block: '4k' | '64k' | '1m';
  readonly depth: number;
  /** Default: until each block was written or read once. */
  readonly seconds?: number;
  readonly sizeBytes: number;
  readonly extra?: readonly string[];
}

/** Arguments for a load on an NBD export; each block written has content of its own. */
export function nbdLoad({ uri, pattern, block, depth, seconds, sizeBytes, extra = [] }: DiskLoad): string[] {
  return [
    '--name=load', '--ioengine=nbd', `--uri=${uri}`, `--rw=${pattern}`, `--bs=${block}`, `--iodepth=${depth}`, `--size=${sizeBytes}`,
    ...(seconds === undefined ? [] : ['--time_based', `--runtime=${seconds}`]), '--randrepeat=0', '--refill_buffers=1', ...extra,
  ];
}
