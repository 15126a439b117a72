// SPDX-License-Identifier: Apache-2.0
// What QEMU tells about its disks, read defensively: QAPI structures BlockInfo, BlockDeviceInfo, BlockJobInfo, BlockExportInfo.
import { byteCount, type ByteCount, OperationError } from '@secondsite/units';
import { isRecord } from '../qmp/qmp-message';
import type { QmpClient } from '../qmp/qmp-client';

export interface DirtyBitmap {
  readonly name: string;
  readonly recording: boolean;
  /** In use by an export or a job; cannot be removed or merged. */
  readonly busy: boolean;
  readonly granularityBytes: number;
  readonly dirtyBytes: ByteCount;
}

export interface BlockNode {
  readonly nodeName: string;
  readonly sizeBytes: ByteCount;
  readonly bitmaps: readonly DirtyBitmap[];
}

export interface BlockJob {
  readonly id: string;
  readonly status: string;
  readonly ready: boolean;
}

/** Every named node, flat. */
export async function queryNodes(qmp: QmpClient): Promise<BlockNode[]> {
  return records(await qmp.execute('query-named-block-nodes', { flat: true })).map(nodeOf);
}

/** Node at the top of a disk given as device id, block device name or node name; the place where a mirror goes. */
export async function findDiskNode(qmp: QmpClient, device: string): Promise<string> {
  const devices = records(await qmp.execute('query-block'));
  const match = devices.find((info) => isDevice({ info, device }));
  const inserted = match && isRecord(match['inserted']) ? match['inserted']['node-name'] : undefined;
  if (typeof inserted === 'string') return inserted;
  if ((await queryNodes(qmp)).some((node) => node.nodeName === device)) return device;
  const known = devices.map((info) => String(info['qdev'] || info['device'])).join(', ');
  throw new OperationError({
    code: 'mirror/no-such-disk', operation: 'find the disk in QEMU', context: { device }, retryable: false,
    hint: `Name one of: ${known || '(the machine has no disk)'}.`,
  });
}

/** Size of a disk given as for `findDiskNode`. */
export async function queryDiskBytes(qmp: QmpClient, device: string): Promise<ByteCount> {
  const nodeName = await findDiskNode(qmp, device);
  const node = (await queryNodes(qmp)).find((candidate) => candidate.nodeName === nodeName);
  if (node) return node.sizeBytes;
  throw new OperationError({
    code: 'mirror/no-such-disk', operation: 'find the disk in QEMU', context: { device }, retryable: true, hint: 'The disk was removed from the machine just now.',
  });
}

export async function queryJob(qmp: QmpClient, id: string): Promise<BlockJob | undefined> {
  const job = records(await qmp.execute('query-block-jobs')).find((info) => info['device'] === id);
  return job && { id, status: String(job['status']), ready: job['ready'] === true };
}

/** Ids of all block exports of the machine. */
export async function queryExportIds(qmp: QmpClient): Promise<string[]> {
  return records(await qmp.execute('query-block-exports')).map((info) => String(info['id']));
}

function isDevice(match: { info: Record<string, unknown>; device: string }): boolean {
  const { info, device } = match;
  const qdev = String(info['qdev'] ?? '');
  const inserted = isRecord(info['inserted']) ? info['inserted']['node-name'] : undefined;
  // `-device …,id=vd0` shows as `vd0` or, for virtio, as `/machine/peripheral/vd0/virtio-backend`.
  return [qdev, info['device'], inserted].includes(device) || qdev.split('/').includes(device);
}

function nodeOf(info: Record<string, unknown>): BlockNode {
  const image = isRecord(info['image']) ? info['image'] : {};
  return {
    nodeName: String(info['node-name']),
    sizeBytes: byteCount(Number(image['virtual-size'] ?? 0)),
    bitmaps: records(info['dirty-bitmaps']).filter((bitmap) => typeof bitmap['name'] === 'string').map(bitmapOf),
  };
}

function bitmapOf(info: Record<string, unknown>): DirtyBitmap {
  return {
    name: String(info['name']), recording: info['recording'] === true, busy: info['busy'] === true,
    granularityBytes: Number(info['granularity']), dirtyBytes: byteCount(Number(info['count'] ?? 0)),
  };
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
