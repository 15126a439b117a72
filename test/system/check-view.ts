// SPDX-License-Identifier: Apache-2.0
/** Views of a stamped disk against its acknowledgement log. */
import type { TestCluster, TestDisk } from '@secondsite/cli/testing';
import type { RecoveryPoints } from '@secondsite/contracts';
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';
import { type AcknowledgementLog, blockBytes } from './acknowledgement-log';
import type { Random } from './random';

export interface ViewCheck {
  readonly cluster: TestCluster;
  readonly disk: TestDisk;
  readonly log: AcknowledgementLog;
}

/** What a view of this time holds against the log, in words (at most five); empty when it is right. */
export async function violationsAt({ cluster, disk, log }: ViewCheck, at: TimeMicros): Promise<string[]> {
  return cluster.withViewAt({ of: disk.name, time: isoFromMicros(at) }, async (client) => {
    const read = async (first: number, count: number): Promise<Buffer> => {
      const data = Buffer.alloc(count * blockBytes);
      await client.read(first * blockBytes, data);
      return data;
    };
    const found = await log.violations({ at, blocks: disk.sizeBytes / blockBytes, read });
    return found.slice(0, 5);
  });
}

const instantCount = 30;

/** The same at 30 random instants of the green ranges of the disk, each range in turn, and at the newest point. */
export async function violationsAtRandomInstants(check: ViewCheck, random: Random): Promise<string[]> {
  const points = await check.cluster.cli<RecoveryPoints>('points', check.disk.name);
  const ranges = points.common.ranges.filter(({ green }) => green).map(({ from, to }) => ({ from: microsFromIso(from) as TimeMicros, to: microsFromIso(to) as TimeMicros }));
  const found = await violationsAt(check, microsFromIso(points.common.latest ?? '') as TimeMicros);
  for (let instant = 0; instant < instantCount; instant++) {
    const { from, to } = ranges[instant % ranges.length] as { from: TimeMicros; to: TimeMicros };
    found.push(...(await violationsAt(check, from + random.below(to - from + 1))));
  }
  return found;
}

/**
 * At 30 random instants of before, during and after what happened between two moments. Throws unless one green range of recovery points spans all
 * of it: then no instant is missing.
 */
export async function violationsAcross(check: ViewCheck, { begin, end, random }: { readonly begin: TimeMicros; readonly end: TimeMicros; readonly random: Random }): Promise<string[]> {
  const { common } = await check.cluster.cli<RecoveryPoints>('points', check.disk.name);
  const micros = (time: string | undefined): TimeMicros => microsFromIso(time ?? '') ?? 0;
  const last = micros(common.latest);
  const range = common.ranges.find(({ green, from, to }) => green && micros(from) < begin && micros(to) >= last);
  if (!range) throw new Error(`no green range from before ${isoFromMicros(begin)} to the end: ${JSON.stringify(common.ranges)}`);
  const phases = [[micros(range.from), begin], [begin, end], [end, last]] as const;
  const found: string[] = [];
  for (let instant = 0; instant < instantCount; instant++) {
    const [from, to] = phases[instant % 3] as (typeof phases)[0];
    found.push(...(await violationsAt(check, from + random.below(to - from + 1))));
  }
  return found;
}
