// SPDX-License-Identifier: Apache-2.0
import type { AutomaticResync, Bandwidth, ConsistencyLevel, DataPlaneRole, FreezeHook, Priority, RetentionLadder, Tap } from '@secondsite/contracts';
import type { Fact, PairState, Pin } from '@secondsite/protection';
import type { EntityManager } from 'typeorm';

export interface HostRow {
  readonly hostId: string;
  readonly name: string;
  readonly addedAt: string;
  readonly priority: Priority;
}

export interface ComponentRow {
  readonly componentId: string;
  readonly role: DataPlaneRole;
  readonly name: string;
  readonly enrolledAt: string;
  readonly url: string | undefined;
  readonly bandwidth: Bandwidth | undefined;
}

export interface VolumeRow {
  readonly volumeId: string;
  readonly hostId: string;
  readonly name: string;
  readonly tap: Tap;
  readonly sizeBytes: number | undefined;
  readonly addedAt: string;
  readonly hooks: readonly FreezeHook[];
}

export interface PlanRow {
  readonly planId: string;
  readonly name: string;
  readonly state: 'active' | 'paused' | 'removed';
  readonly createdAt: string;
  readonly retention: RetentionLadder;
  readonly pins: readonly Pin[];
  readonly consistencyIntervalSeconds: number | undefined;
  readonly consistencyLevel: ConsistencyLevel;
  readonly compression: 'none' | 'source' | 'process-server';
  readonly deduplication: boolean;
  readonly folding: boolean;
  readonly bandwidth: Bandwidth | undefined;
  readonly rpoThresholdSeconds: number | undefined;
  /** Of the last bookmark, if that failed. */
  readonly bookmarkFailure: string | undefined;
  /** Undefined: the default. */
  readonly automaticResync: AutomaticResync | undefined;
}

/** How the pair went on after its last interruption. */
export type ChosenResync = Omit<Fact<'replication.resync-chosen.v1'>['data'], 'pairId' | 'epoch'> & { readonly at: string };

export interface PairRow {
  readonly pairId: string;
  readonly planId: string;
  readonly volumeId: string;
  readonly volumeName: string;
  readonly hostId: string;
  readonly processServerId: string;
  readonly masterTargetId: string;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly state: PairState;
  readonly epoch: number;
  readonly bitmapMode: boolean;
  readonly flowControlled: boolean;
  readonly resyncRequiredSince: string | undefined;
  readonly resyncReason: string | undefined;
  /** What is required since then. */
  readonly requiredWork: 'regions' | 'whole' | undefined;
  /** Since when the whole volume has to be read; its place in the queue. */
  readonly wholeSince: string | undefined;
  /** How often an operator asked for a resync, and when last, while that waits. */
  readonly resyncRequests: number;
  readonly resyncRequestedAt: string | undefined;
  readonly lastResync: ChosenResync | undefined;
  /** Since when the source is smaller than the volume, and how small. */
  readonly shrunkSince: string | undefined;
  readonly shrunkTo: number | undefined;
  readonly stalledSince: string | undefined;
  readonly stallReason: string | undefined;
  readonly deleteData: boolean;
  /** How often it was moved to another process server. */
  readonly moves: number;
  /** The process server that it leaves now, and since when. */
  readonly leaving: { readonly fromId: string; readonly switched: boolean; readonly since: string } | undefined;
  readonly leftProcessServers: readonly string[];
  /** While it is in no plan: until when its replica is kept, and what of its points. `planId` is the plan that it was in last. */
  readonly keptUntil: string | undefined;
  readonly leftRetention: RetentionLadder | undefined;
  /** Number of its newest move to another master target. */
  readonly placement: number;
  readonly movingTo: string | undefined;
  /** Master targets that had it or were on the way to. */
  readonly formerTargets: readonly string[];
}

export interface TokenRow {
  readonly tokenId: string;
  readonly role: DataPlaneRole;
  readonly hostId: string | undefined;
  readonly issuedAt: string;
  readonly expiresAt: string;
  readonly usedBy: string | undefined;
}

/** An alert that is raised now. */
export type AlertRow = Fact<'monitoring.alert-raised.v1'>['data'] & { readonly since: string };

/** All read models at one moment. Small: hundreds of hosts, thousands of volumes. */
export interface Directory {
  readonly hosts: readonly HostRow[];
  readonly components: readonly ComponentRow[];
  readonly volumes: readonly VolumeRow[];
  /** Removed plans and pairs are in it, at the end. */
  readonly plans: readonly PlanRow[];
  readonly pairs: readonly PairRow[];
  readonly tokens: readonly TokenRow[];
  readonly alerts: readonly AlertRow[];
}

const bySqlTable = {
  hosts: 'select * from rm_hosts order by name',
  components: 'select * from rm_components order by role, name, component_id',
  volumes: 'select * from rm_volumes order by name',
  plans: `select * from rm_plans order by (state = 'removed'), name, created_at desc`,
  pairs: `select * from rm_pairs order by (state = 'removed'), volume_name, created_at desc`,
  alerts: 'select * from rm_alerts order by since, subject_name, kind',
  tokens: 'select * from rm_enrolment_tokens order by issued_at, token_id',
} as const;

export async function loadDirectory(manager: EntityManager): Promise<Directory> {
  const [hosts, components, volumes, plans, pairs, tokens, alerts] = await Promise.all([
    rows<HostRow>(manager, bySqlTable.hosts), rows<ComponentRow>(manager, bySqlTable.components), rows<VolumeRow>(manager, bySqlTable.volumes),
    rows<PlanRow>(manager, bySqlTable.plans), rows<PairRow>(manager, bySqlTable.pairs), rows<TokenRow>(manager, bySqlTable.tokens), rows<AlertRow>(manager, bySqlTable.alerts),
  ]);
  return { hosts, components, volumes, plans, pairs, tokens, alerts };
}

const bigintColumns = new Set(['size_bytes', 'shrunk_to', 'epoch']);

/** Rows with names in camel case, null as undefined, 64-bit columns as numbers (all far below 2^53). */
async function rows<Row>(manager: EntityManager, sql: string): Promise<Row[]> {
  const raw = await manager.query<Record<string, unknown>[]>(sql);
  return raw.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [camelCase(name), column(name, value)])) as Row);
}

function column(name: string, value: unknown): unknown {
  if (value === null) return undefined;
  return bigintColumns.has(name) ? Number(value) : value;
}

function camelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
}
