// SPDX-License-Identifier: Apache-2.0
// What the main thread and a volume's thread say to each other. Everything here crosses threads, so it is plain data.
import type { ComponentIdentity } from '@secondsite/certificates';
import type { BookmarkMarker } from '@secondsite/change-set';
import type { Tap } from '@secondsite/contracts';
import type { ThreadContract } from '@secondsite/thread-host';
import type { ByteCount, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';
import type { MissedChanges, MirrorPulse } from '../qemu-tap/mirror-messages';
import type { ChangeSetHops } from './change-set-hop-log';
import type { ReplicationFact } from './replication-fact';
import type { ReplicationStatus } from './replication-status';

export type Credentials = Pick<ComponentIdentity, 'certificatePem' | 'keyPem' | 'caPem' | 'tenantId'>;

export interface PairSettings {
  readonly pairId: string;
  readonly processServerUrl: string;
  /** See AgentPair, as what follows. */
  readonly move?: number | undefined;
  readonly paused: boolean;
  readonly standby?: boolean | undefined;
  readonly compression: 'none' | 'source';
  readonly folding: boolean;
  /** See AgentPair.resyncRequest. */
  readonly resyncRequest: number;
  readonly resyncTurn: boolean;
}

/** Where a volume is and what the agent shall do with it. */
export interface VolumeSettings {
  readonly volumeId: string;
  readonly name: string;
  readonly tap: Tap;
  /** Of a disk in QEMU: known from it before the thread starts. */
  readonly sizeBytes: ByteCount | undefined;
  readonly pair: PairSettings | undefined;
}

/** The same for all volumes of the host. */
export interface VolumeEnvironment {
  readonly dataDir: string;
  readonly budget: { readonly shared: SharedArrayBuffer; readonly bytesMax: ByteCount };
  readonly segmentDataBytes: ByteCount;
  /** Undefined: plain HTTP and NBD (development switch). */
  readonly credentials: Credentials | undefined;
  /** Besides the unix socket; TLS when there are credentials. */
  readonly nbdTcp: { readonly host: string; readonly advertiseHost: string } | undefined;
  /** Part of the change sets that are traced, 0 … 1. */
  readonly traceRatio: number;
  /** Others are traced when they are slower than this, or fail; undefined: they are not. */
  readonly traceSlowMillis: number | undefined;
}

export interface VolumeStatus {
  readonly sizeBytes: ByteCount;
  readonly nbdUris: readonly string[];
  /** Counters since the thread started. */
  readonly writes: number;
  readonly writtenBytes: ByteCount;
  /** Undefined: not protected. */
  readonly replication: (ReplicationStatus & { readonly pairId: string; readonly move: number | undefined }) | undefined;
}

export interface HoldRequest {
  /** Who holds: a cut is made only by who still holds. */
  readonly holdId: string;
  readonly limitMillis: number;
}

export interface CutRequest {
  readonly holdId: string;
  readonly bookmark: BookmarkMarker;
  readonly time: TimeMicros;
}

export interface CutReply {
  readonly pairId: string;
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  /** How long writes of this volume waited. */
  readonly heldMillis: number;
}

export interface VolumeThread extends ThreadContract {
  readonly requests: {
    /** Protects, unprotects or alters; repeatable. */
    configure(settings: VolumeSettings): Promise<void>;
    /** Writes wait from now on, until `cut`, `release` or the time limit. Answers the newest time in the stream. */
    hold(request: HoldRequest): TimeMicros;
    cut(request: CutRequest): CutReply;
    /** Without `hold`: at a time of this volume's choice, which is answered. */
    cutAlone(bookmark: BookmarkMarker): CutReply & { readonly time: TimeMicros };
    release(holdId: string): void;
    hops(key: { readonly epoch: Epoch; readonly sequence: SequenceNumber } | undefined): ChangeSetHops | undefined;
    useCredentials(credentials: Credentials): void;
    status(): VolumeStatus;
    /** See QemuTap; only for a volume whose tap is a mirror. */
    mirrorTarget(): Promise<{ readonly uri: string; readonly attached: boolean }>;
    noteMissed(missed: MissedChanges): Promise<void>;
    resumeMirror(source: { readonly sourceUri: string }): void;
    loseMirror(): void;
    proveMirror(until: TimeMicros): boolean;
    mirrorPulse(): MirrorPulse;
  };
  readonly events: {
    fact: ReplicationFact;
    /** A traced change set passed all hops of the agent. */
    passed: { readonly pairId: string; readonly hops: ChangeSetHops };
    /** Why the mirror of a QEMU disk no longer reaches the agent. */
    tapLost: string;
  };
  readonly notices: object;
}

export interface VolumeThreadData {
  readonly settings: VolumeSettings;
  readonly environment: VolumeEnvironment;
}
