// SPDX-License-Identifier: Apache-2.0
// The blockdev-mirror job. What QEMU 7.2 does (tried, see README): with sync=none and copy-mode=write-blocking every guest write, write-zeroes and
// (with discard=unmap) discard goes to the source first, then to the target, then is acknowledged to the guest, also while the job is not ready yet.
// A failing target ends the job with on-target-error=report; the guest's write succeeds on the source and never sees it.
import { type ByteCount, isOperationError, OperationError } from '@secondsite/units';
import { type NbdLocation, nbdNode } from '../boot/disk-node';
import { waitUntil } from '../host-tools/wait-until';
import type { QmpClient } from '../qmp/qmp-client';
import { queryJob, queryNodes } from './block-graph';
import type { MirrorNames } from './mirror-names';

export interface MirrorJobOptions {
  readonly qmp: QmpClient;
  readonly names: MirrorNames;
  readonly topNode: string;
  readonly target: NbdLocation;
  /** Size of the source; the target must have the same. */
  readonly sizeBytes: ByteCount;
  /** Folder on QEMU's machine in tls-creds-x509 layout, for an nbds target. */
  readonly tlsFolder?: string;
  readonly tlsHostname?: string;
  readonly reconnectDelaySeconds: number;
  readonly timeLimitMillis: number;
}

/** Starts the job and returns when it is ready: from then on every write reaches the target before the guest knows of it. */
export async function startMirrorJob(options: MirrorJobOptions): Promise<void> {
  const { qmp, names, target } = options;
  const tlsCredsId = target.tls ? await addTlsCreds(options) : undefined;
  const { tlsHostname, reconnectDelaySeconds } = options;
  const tls = { ...(tlsCredsId === undefined ? {} : { tlsCredsId }), ...(tlsHostname === undefined ? {} : { tlsHostname }) };
  await qmp.execute('blockdev-add', nbdNode({ nodeName: names.targetNode, location: target, reconnectDelaySeconds, ...tls }));
  await checkSize(options);
  await qmp.execute('blockdev-mirror', {
    'job-id': names.job,
    device: options.topNode,
    target: names.targetNode,
    sync: 'none',
    'copy-mode': 'write-blocking',
    'on-source-error': 'report',
    'on-target-error': 'report',
    'filter-node-name': names.filterNode,
  });
  await waitUntil({
    probe: async () => jobIsReady(await queryJob(qmp, names.job)),
    timeLimitMillis: options.timeLimitMillis,
    operation: 'start the mirror',
    hint: 'The agent must answer a flush of its export; see its log.',
  });
}

/**
 * Ends the job, whatever its state, and removes its target node. With `force` the connection to the target is cut first, so that a hung
 * target releases a waiting guest at once; without it, writes under way still reach the target. Repeating it is harmless.
 */
export async function endMirrorJob(options: { qmp: QmpClient; names: MirrorNames; force: boolean; timeLimitMillis: number }): Promise<void> {
  const { qmp, names, force, timeLimitMillis } = options;
  if (force) await cutTarget(qmp, names);
  if (await queryJob(qmp, names.job)) await tolerateGone(qmp.execute('block-job-cancel', { device: names.job, force }));
  await waitUntil({
    probe: async () => ((await queryJob(qmp, names.job)) ? undefined : true),
    timeLimitMillis,
    operation: 'end the mirror',
    hint: 'The target does not answer: detach with force.',
  });
  if (await hasTargetNode(qmp, names)) await qmp.execute('blockdev-del', { 'node-name': names.targetNode });
  await tolerateGone(qmp.execute('object-del', { id: names.tlsCreds }));
}

/** Shuts the target's connection down (QMP `yank`, out of band as QEMU may be waiting for it); its requests fail, the job ends, the guest goes on. */
async function cutTarget(qmp: QmpClient, names: MirrorNames): Promise<void> {
  await tolerateGone(qmp.execute('yank', { instances: [{ type: 'block-node', 'node-name': names.targetNode }] }, { outOfBand: true }));
}

async function hasTargetNode(qmp: QmpClient, names: MirrorNames): Promise<boolean> {
  return (await queryNodes(qmp)).some((node) => node.nodeName === names.targetNode);
}

async function addTlsCreds(options: MirrorJobOptions): Promise<string> {
  const id = options.names.tlsCreds;
  await options.qmp.execute('object-add', { 'qom-type': 'tls-creds-x509', id, endpoint: 'client', 'verify-peer': true, dir: options.tlsFolder });
  return id;
}

async function checkSize(options: MirrorJobOptions): Promise<void> {
  const { qmp, names, sizeBytes } = options;
  const target = (await queryNodes(qmp)).find((node) => node.nodeName === names.targetNode);
  if (target?.sizeBytes === sizeBytes) return;
  throw new OperationError({
    code: 'mirror/size-differs', operation: 'start the mirror', context: { sizeBytes, targetBytes: target?.sizeBytes ?? 0 }, retryable: false,
    hint: 'The export must be exactly as large as the disk of the machine.',
  });
}

function jobIsReady(job: { ready: boolean } | undefined): true | undefined {
  if (job?.ready) return true;
  if (job) return undefined;
  throw new OperationError({
    code: 'mirror/target-failed', operation: 'start the mirror', retryable: true,
    hint: 'The mirror ended before it was ready: the agent refused or dropped the connection.',
  });
}

/** QEMU refuses to end what has just ended by itself; that is the wanted state. */
async function tolerateGone(command: Promise<unknown>): Promise<void> {
  try {
    await command;
  } catch (error) {
    if (!isOperationError(error, 'qmp/refused')) throw error;
  }
}
