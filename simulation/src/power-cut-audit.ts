// SPDX-License-Identifier: Apache-2.0
// "What if the power went everywhere, now?" Copies of all disks lose it, and the real code reads what is left: every set that was answered is
// at the process server or at the target (I2), every instant that was offered is exact (I4, I5), and where the bitmap has no mark the
// replica is the source (I1), and checksums that are trusted are of what the disk holds (I3). The history itself goes on as if nothing had happened.
import { BlockHasher, CHECKSUM_BYTES, KeptChecksums } from '@secondsite/block-checksums';
import type { Decompress } from '@secondsite/change-set';
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type CrashableStorage, type Random, randomBelow } from '@secondsite/durable-storage/testing';
import { TargetPair } from '@secondsite/master-target/testing';
import { readPairState } from '@secondsite/process-server/testing';
import { SegmentLog } from '@secondsite/segment-log';
import type { Epoch } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import type { AppliedStream } from './applied-stream';
import { LAYOUT, REGION_BYTES } from './layout';
import { BITMAP, CHECKSUMS, VOLUME_ID } from './protected-host';
import type { SimulatedDisk } from './simulated-disk';
import { nameOf, type SourceModel, type StreamPlace } from './source-model';
import { whereOf, type Witness } from './witness';

export interface AuditedWorld {
  readonly pairId: string;
  readonly volumeBytes: number;
  readonly volumeDisk: SimulatedDisk;
  readonly dataDisk: SimulatedDisk;
  readonly processServerDisks: readonly SimulatedDisk[];
  readonly targetDisk: SimulatedDisk;
  readonly decompress: Decompress;
  readonly model: SourceModel;
  readonly witness: Witness;
}

const VIEWS = 3;

/** Throws what is broken. Takes no simulated time. */
export async function auditPowerCut(world: AuditedWorld, random: Random): Promise<void> {
  const targetCopy = world.targetDisk.copyAfterPowerCut(random);
  const records = [...(await recordsIn(targetCopy, '/pair/cache/'))];
  const epochs: Epoch[] = [];
  for (const disk of world.processServerDisks) {
    const copy = disk.copyAfterPowerCut(random);
    records.push(...(await recordsIn(copy, `/spool/${world.pairId}/`)));
    epochs.push(await spooledEpoch(copy, world.pairId));
  }
  await expectChecksums(world, { directory: targetCopy.directory('/pair/'), name: 'replica-blocks', content: targetCopy.contentOf('/pair/', 'replica.img') });
  const pair = await openTarget(world, targetCopy);
  const stream = world.witness.stream.copy();
  stream.reopened(pair.journal.applied, pair.journal.applied.lastTime);
  expectNothingLost(world, { records, received: pair.position(), stream });
  world.witness.expectPromised(pair);
  await expectViews(world, { pair, stream, random });
  await expectUnmarkedEqual(world, { targetCopy, knownEpoch: Math.max(pair.position().epoch, ...epochs), random });
  await pair.close();
}

async function openTarget({ pairId, volumeBytes, decompress }: AuditedWorld, storage: CrashableStorage): Promise<TargetPair> {
  try {
    return await TargetPair.open({
      directory: await storage.root.directory('pair'),
      pairId, sizeBytes: volumeBytes, retention: { windowMicros: 1e15 }, decompress, layout: LAYOUT, clock: () => 1, delay: () => new Promise(() => undefined), limits: { freeBytesMin: 0 },
    });
  } catch (cause) {
    throw new Error(`I8: after a power cut the target could not open its pair by itself: ${String(cause)}`, { cause });
  }
}

async function recordsIn(storage: CrashableStorage, path: string): Promise<StreamPlace[]> {
  const log = await SegmentLog.open(storage.directory(path));
  return log.records().map(({ key }) => key);
}

/** In which epoch the pair is, as a process server with this disk says. */
export async function spooledEpoch(storage: CrashableStorage, pairId: string): Promise<Epoch> {
  const path = `/spool/${pairId}/`;
  const { epoch } = await readPairState(storage.directory(path)).catch((cause: unknown) => {
    throw new Error(`I8: after a power cut a process server could not open its pair by itself: ${String(cause)}`, { cause });
  });
  return Math.max(epoch, ...(await recordsIn(storage, path)).map((place) => place.epoch));
}

/** I2. Behind a set of a resynchronisation that is lost, be it recorded or not, nothing of its epoch counts: the agent begins another one. */
function expectNothingLost({ model, witness }: AuditedWorld, { records, received, stream }: { readonly records: readonly StreamPlace[]; readonly received: StreamPlace; readonly stream: AppliedStream }): void {
  const kept = new Set(records.map(nameOf));
  const epochs = Map.groupBy(witness.answered, ({ epoch }) => epoch);
  for (const [epoch, places] of epochs) {
    const there = Math.max(epoch === received.epoch ? received.sequence : 0, stream.lastOf(epoch));
    const answered = new Set(places.map(({ sequence }) => sequence));
    for (let sequence = 1; answered.has(sequence); sequence++) {
      if (sequence <= there || kept.has(nameOf({ epoch, sequence }))) continue;
      if ([sequence - 1, sequence].some((maybeLost) => model.set({ epoch, sequence: maybeLost })?.isReadAgain)) break;
      throw new Error(`I2: set ${epoch}/${sequence} was answered, and a power cut would lose it`);
    }
  }
}

async function expectViews({ witness, volumeBytes }: AuditedWorld, { pair, stream, random }: { readonly pair: TargetPair; readonly stream: AppliedStream; readonly random: Random }): Promise<void> {
  const { spans } = pair.points();
  for (let view = 0; view < VIEWS && spans.length > 0; view++) {
    const { from, to } = spans[view === 0 ? spans.length - 1 : randomBelow(random, spans.length)] as { from: number; to: number };
    const time = view === 0 ? to : from + randomBelow(random, to - from + 1);
    const reader = await pair.openReader(time);
    const seen = Buffer.alloc(volumeBytes);
    await reader.read(seen, 0);
    pair.closeReader(reader);
    witness.expectView(time, seen, stream);
  }
}

/**
 * I1, and that marks are taken away only when both sides have it durably. A bitmap that is behind the epoch which the process server would name is
 * trusted by nobody, nor are checksums beside it (ADR 31).
 */
async function expectUnmarkedEqual(world: AuditedWorld, { targetCopy, knownEpoch, random }: { readonly targetCopy: CrashableStorage; readonly knownEpoch: Epoch; readonly random: Random }): Promise<void> {
  const { volumeDisk, dataDisk, volumeBytes } = world;
  const { root } = dataDisk.copyAfterPowerCut(random);
  const { recovery } = await WriteIntentBitmap.open({ directory: root, name: BITMAP, volumeId: VOLUME_ID, volumeBytes, regionBytesMin: REGION_BYTES });
  if (recovery.origin === 'recovered' && recovery.header.epoch < knownEpoch) return;
  const source = volumeDisk.copyAfterPowerCut(random).contentOf('/', 'disk') as Uint8Array;
  await expectChecksums(world, { directory: root, name: CHECKSUMS, content: source });
  const replica = targetCopy.contentOf('/pair/', 'replica.img') as Uint8Array;
  for (let region = 0; region < recovery.dirty.regionCount; region++) {
    if (recovery.dirty.has(region)) continue;
    const [from, to] = [region * REGION_BYTES, Math.min(volumeBytes, (region + 1) * REGION_BYTES)];
    const [here, there] = [source.subarray(from, to), replica.subarray(from, to)];
    if (Buffer.compare(here, there) !== 0) throw new Error(`I1: region ${region} has no mark, and after a power cut the replica would differ from the source ${whereOf(here, there)} of it`);
  }
}

/** What a start after the power cut would trust. */
async function expectChecksums(
  { pairId, volumeBytes }: AuditedWorld, { directory, name, content }: { readonly directory: StorageDirectory; readonly name: string; readonly content: Uint8Array | undefined },
): Promise<void> {
  if (!content) return;
  const kept = await KeptChecksums.open({ directory, name, pairId, volumeBytes, layout: LAYOUT });
  const known = await kept.lookUp({ offset: 0, length: volumeBytes });
  const right = new BlockHasher(pairId, LAYOUT).checksumsOf(content);
  known.forEach((checksum, block) => {
    const at = block * CHECKSUM_BYTES;
    if (checksum && !checksum.equals(right.subarray(at, at + CHECKSUM_BYTES))) throw new Error(`I3: after a power cut the checksum of block ${block} in ${name} would be trusted, and is of another content`);
  });
}
