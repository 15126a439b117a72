// SPDX-License-Identifier: Apache-2.0
// Attaches the agentless tap to a disk of a running QEMU machine: a mirror job copies every write into the agent's NBD export, and a read-only
// export of the same disk lets the agent read the baseline or the regions that changed while no mirror ran.
// Order, so that no write is missed at any crash: 1. a dirty bitmap records; 2. the mirror runs; 3. (re-attach) all bitmaps are gathered
// into one stopped bitmap while a new one records; 4. the stopped one is exported. A write after 2 is in the stream, a write before 3 in the bitmap.
import { type ByteCount, isOperationError, OperationError } from '@secondsite/units';
import { parseNbdUri } from '../boot/disk-node';
import type { QmpClient } from '../qmp/qmp-client';
import { type BlockNode, findDiskNode, queryJob, queryNodes } from './block-graph';
import {
  type BitmapPlace, findMarkedNode, gatherBitmaps, isBaselineNeeded, listBitmaps, markBaselineNeeded, removeBitmap, startRecording,
} from './dirty-bitmaps';
import { Mirror } from './mirror';
import { endMirrorJob, startMirrorJob } from './mirror-job';
import { type MirrorNames, mirrorNames } from './mirror-names';
import { serveSource, withdrawSource } from './source-export';

export interface AttachOptions {
  readonly qmp: QmpClient;
  /** Disk in the machine: device id, block device name or node name. */
  readonly device: string;
  /** Names everything in QEMU; the same volume must always give the same id. */
  readonly id: string;
  /** NBD URI of the agent's export that receives the writes; as large as the disk. */
  readonly targetUri: string;
  /** Unix socket where QEMU serves the disk for reading; one per machine, also when several of its disks are protected. */
  readonly sourceSocketPath: string;
  /** True only for a caller whose export has kept its connection (a lost QMP connection, not a restarted agent): a running job is then left alone. */
  readonly continueRunning?: boolean;
  /** Forget what the bitmaps know and start with a full baseline. */
  readonly fullResync?: boolean;
  /** Seconds a lost target connection may take to come back while the guest waits. Default 0: the guest never waits, the mirror ends. */
  readonly reconnectDelaySeconds?: number;
  /** TLS files for an nbds target in QEMU's layout (ca-cert.pem, client-cert.pem, client-key.pem), see linkTlsFolder. */
  readonly tlsFolder?: string;
  readonly tlsHostname?: string;
  /** For the job to become ready. Default 10 s. */
  readonly timeLimitMillis?: number;
}

/**
 * What may differ from the stream and has to be read: nothing (it was never broken), the regions in `bitmap` (written while no mirror ran), or
 * the whole disk. The caller notes it durably in its write-intent bitmap and then calls `mirror.confirmResync()`; until then every attach asks again.
 */
export type NeededResync = { readonly kind: 'none' } | { readonly kind: 'bitmap'; readonly bitmap: string } | { readonly kind: 'full' };

export interface Attachment {
  readonly mirror: Mirror;
  readonly resync: NeededResync;
  readonly sizeBytes: ByteCount;
  /** NBD URI of the disk, read-only, with meta context `qemu:dirty-bitmap:<bitmap>` when `resync.kind` is `bitmap`. */
  readonly sourceUri: string;
}

/**
 * Attaches, or re-attaches after anything: repeating it is safe. On failure no job is left, bitmaps stay (nothing is forgotten), the guest runs on.
 * Fails with `mirror/no-such-disk`, `mirror/size-differs`, `mirror/nbd-server-in-use`, `qmp/refused` (e.g. nobody serves the target), `qemu/time-limit`.
 */
export async function attachMirror(options: AttachOptions): Promise<Attachment> {
  const names = mirrorNames(options.id);
  const { qmp } = options;
  if (options.continueRunning && (await queryJob(qmp, names.job))?.ready) return continueMirror(options, names);
  await withdrawSource({ qmp, exportId: names.exportId });
  await endMirrorJob({ qmp, names, force: true, timeLimitMillis: 10_000 });
  const source = await prepareSource(options, names);
  const place: BitmapPlace = { qmp, node: source.nodeName, prefix: names.bitmapPrefix };
  const known = (await listBitmaps(place)).length > 0;
  if (!known) await startRecording(place);
  if (!known || options.fullResync) await markBaselineNeeded(place);
  try {
    await startJob(options, { names, source });
    const mirror = new Mirror({ place, names, sourceSocketPath: options.sourceSocketPath });
    return await describe({ options, names, source, mirror, resync: await gatherNeeded(place) });
  } catch (error) {
    await undo(options, names);
    throw error;
  }
}

/** The node under our filter: found by our bitmaps when there are some, else the top of the disk (the filter is gone by now). */
async function prepareSource(options: AttachOptions, names: MirrorNames): Promise<BlockNode> {
  const marked = await findMarkedNode(options.qmp, names.bitmapPrefix);
  if (marked) return marked;
  const nodeName = await findDiskNode(options.qmp, options.device);
  const node = (await queryNodes(options.qmp)).find((candidate) => candidate.nodeName === nodeName);
  if (node) return node;
  throw new OperationError({
    code: 'mirror/no-such-disk', operation: 'find the disk in QEMU', context: { device: options.device }, retryable: true,
    hint: 'The disk was removed from the machine just now.',
  });
}

async function startJob(options: AttachOptions, parts: { names: MirrorNames; source: BlockNode }): Promise<void> {
  const target = parseNbdUri(options.targetUri);
  if (!target) throw badTarget(options.targetUri);
  const { qmp, tlsFolder, tlsHostname } = options;
  await startMirrorJob({
    qmp, names: parts.names, target, sizeBytes: parts.source.sizeBytes,
    topNode: await findDiskNode(qmp, options.device),
    reconnectDelaySeconds: options.reconnectDelaySeconds ?? 0,
    timeLimitMillis: options.timeLimitMillis ?? 10_000,
    ...(tlsFolder === undefined ? {} : { tlsFolder }),
    ...(tlsHostname === undefined ? {} : { tlsHostname }),
  });
}

async function gatherNeeded(place: BitmapPlace): Promise<NeededResync> {
  const bitmap = await gatherBitmaps(place);
  if (!(await isBaselineNeeded(place))) return { kind: 'bitmap', bitmap };
  await removeBitmap(place, bitmap);
  return { kind: 'full' };
}

/** The job still runs: the stream was never broken, only what an earlier attach asked for may still be open. */
async function continueMirror(options: AttachOptions, names: MirrorNames): Promise<Attachment> {
  const source = await prepareSource(options, names);
  const place: BitmapPlace = { qmp: options.qmp, node: source.nodeName, prefix: names.bitmapPrefix };
  await withdrawSource({ qmp: options.qmp, exportId: names.exportId });
  const mirror = new Mirror({ place, names, sourceSocketPath: options.sourceSocketPath });
  return describe({ options, names, source, mirror, resync: await openResync(place) });
}

async function openResync(place: BitmapPlace): Promise<NeededResync> {
  if (await isBaselineNeeded(place)) return { kind: 'full' };
  const open = (await listBitmaps(place)).some((bitmap) => !bitmap.recording);
  return open ? { kind: 'bitmap', bitmap: await gatherBitmaps(place) } : { kind: 'none' };
}

interface AttachmentParts {
  readonly options: AttachOptions;
  readonly names: MirrorNames;
  readonly source: BlockNode;
  readonly mirror: Mirror;
  readonly resync: NeededResync;
}

async function describe(parts: AttachmentParts): Promise<Attachment> {
  const { options, names, source, mirror, resync } = parts;
  const bitmap = resync.kind === 'bitmap' ? { bitmap: resync.bitmap } : {};
  const { qmp, sourceSocketPath: socketPath } = options;
  const sourceUri = await serveSource({ qmp, exportId: names.exportId, node: source.nodeName, socketPath, ...bitmap });
  return { mirror, resync, sizeBytes: source.sizeBytes, sourceUri };
}

async function undo(options: AttachOptions, names: MirrorNames): Promise<void> {
  try {
    await withdrawSource({ qmp: options.qmp, exportId: names.exportId });
    await endMirrorJob({ qmp: options.qmp, names, force: true, timeLimitMillis: 10_000 });
  } catch (error) {
    if (!isOperationError(error, 'qmp/closed')) throw error; // QEMU is gone, and the job with it.
  }
}

function badTarget(targetUri: string): OperationError {
  const hint = 'The target of a mirror is an NBD URI.';
  return new OperationError({ code: 'mirror/bad-target', operation: 'attach the mirror', context: { targetUri }, retryable: false, hint });
}
