// SPDX-License-Identifier: Apache-2.0
// What a pair at the target consists of, opened or made in its folder.
import type { BlockLayout } from '@secondsite/block-checksums';
import { type Decompress, Quarantine } from '@secondsite/change-set';
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type JournalMemory, RetentionJournal, type RetentionLimits } from '@secondsite/retention-journal';
import { SegmentLog } from '@secondsite/segment-log';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { SetRebuilder, type SharedBlocks } from '../deduplication/set-rebuilder';
import type { HandOverRecord } from '../move/hand-over-record';
import { PairDeparture } from '../move/pair-departure';
import { CachedSetReader } from './cached-set-reader';
import { CheckpointFile } from './checkpoint-file';
import { type PairColdOptions, PairColdStorage } from './pair-cold-storage';
import { defaultLimits, type PairLimits } from './pair-limits';
import { PairScrubber } from './pair-scrubber';
import type { PairEvent, SetHops } from './pair-types';
import { ReadMemory } from './read-memory';
import { openReplica, type ReplicaFiles } from './replica-files';
import { SetCache } from './set-cache';

export interface TargetPairOptions {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  readonly sizeBytes: ByteCount;
  readonly retention: RetentionLimits;
  readonly decompress: Decompress;
  readonly clock: () => TimeMicros;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  readonly onEvent?: (event: PairEvent) => void;
  /** Called once for each traced set, with its times, when it is durable in the replica. */
  readonly onTraced?: (hops: SetHops) => void;
  readonly limits?: Partial<PairLimits>;
  /** Number of the newest move that made the pair at home here; default 0. */
  readonly placement?: number;
  /** Where old undo goes; absent: it stays here. */
  readonly cold?: PairColdOptions | undefined;
  /** How blocks are compared with the source; the agent's must be the same. */
  readonly layout?: BlockLayout | undefined;
  /** Undefined: referring sets are refused as damaged, and nothing is remembered of blocks. */
  readonly sharedBlocks?: SharedBlocks | undefined;
  /** Takes the memory of a set given to `store` when the pair has no more use for it. Not of every set. */
  readonly recycle?: (memory: ArrayBufferLike) => void;
  /** Where the maps of views lie. */
  readonly journalMemory?: JournalMemory;
}

export interface PairParts extends ReplicaFiles {
  readonly log: SegmentLog;
  readonly journal: RetentionJournal;
  readonly checkpoint: CheckpointFile;
  readonly quarantine: Quarantine;
  readonly cache: SetCache;
  readonly cachedSets: CachedSetReader;
  readonly scrubber: PairScrubber;
  /** Absent without `sharedBlocks`. */
  readonly rebuilder: SetRebuilder | undefined;
  /** Into memory that `recycle` takes back. */
  readonly decompress: Decompress;
  /** Takes memory of sets that nobody reads any more, wherever it is from. */
  readonly recycle: (memory: ArrayBufferLike) => void;
  readonly limits: PairLimits;
  readonly cold: PairColdStorage | undefined;
  readonly handedOver: HandOverRecord | undefined;
}

/** Each part is as it was durable; the replica may lack what the journal has recorded (see ApplyLoop.replay). */
export async function openPairParts(options: TargetPairOptions): Promise<PairParts> {
  const { directory } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const handedOver = await PairDeparture.recorded(directory, options.placement ?? 0);
  const files = await openReplica(options);
  const checkpoint = await CheckpointFile.open(directory);
  const applied = checkpoint.current?.applied;
  const cold = options.cold && new PairColdStorage({ ...options, ...options.cold, lookMicros: limits.mergeLookMicros, emit: (event) => options.onEvent?.(event) });
  const journal = await RetentionJournal.open(await directory.directory('journal'), {
    segmentBytes: limits.segmentBytes,
    cold: cold?.tier,
    memory: options.journalMemory,
    ...(applied && { replicaState: applied }),
  });
  const log = await SegmentLog.open(await directory.directory('cache'), { segmentBytes: limits.segmentBytes });
  const readMemory = new ReadMemory(limits.groupBytes / 2);
  const recycle = (memory: ArrayBufferLike): void => {
    if (!readMemory.giveBack(memory)) options.recycle?.(memory);
  };
  const cache = new SetCache({
    ...limits, log,
    applied: applied ?? { epoch: 0, sequence: 0 },
    endedEpochs: checkpoint.current?.endedEpochs ?? [],
    recycle,
  });
  const quarantine = await Quarantine.open(await directory.directory('quarantine'));
  const scrubber = await PairScrubber.open({
    ...options, ...files, journal, bytesPerSecond: limits.scrubBytesPerSecond, roundMicros: limits.scrubRoundMicros,
    isBusy: () => cache.readyCount > 0, emit: (event) => options.onEvent?.(event),
  });
  const { pairId, sharedBlocks } = options;
  const decompress: Decompress = (stored, { bytesMax }) => options.decompress(stored, { bytesMax, memory: (bytes) => readMemory.take(bytes) });
  const rebuilder = sharedBlocks && new SetRebuilder({ ...sharedBlocks, ...files, pairId, decompress: options.decompress, memory: readMemory });
  const cachedSets = new CachedSetReader({ cache, readMemory, decompress });
  return { ...files, log, journal, checkpoint, quarantine, cache, limits, cold, cachedSets, scrubber, rebuilder, decompress, recycle, handedOver };
}
