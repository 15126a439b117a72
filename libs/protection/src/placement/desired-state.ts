// SPDX-License-Identifier: Apache-2.0
import type {
  AgentDesiredState, Bandwidth, ConsistencyLevel, FreezeHook, LimitedLink, MasterTargetDesiredState, MasterTargetPair, Priority, ProcessServerDesiredState, RetentionLadder, Tap,
} from '@secondsite/contracts';
import { GIB } from '@secondsite/units';
import type { Pin } from '../plan/plan';
import type { ResyncTurn } from '../resync/resync-turns';
import { arrivingPairs, departedPairs, placementAtHome } from './desired-moves';
import { areCutByAgent } from './periodic-cuts';

export interface DesiredVolume {
  readonly volumeId: string;
  readonly hostId: string;
  readonly name: string;
  readonly tap: Tap;
  readonly sizeBytes: number | undefined;
  readonly hooks?: readonly FreezeHook[];
}

export interface DesiredPair {
  readonly pairId: string;
  readonly planId: string;
  readonly volumeId: string;
  readonly volumeName: string;
  readonly hostId: string;
  readonly processServerId: string;
  readonly masterTargetId: string;
  readonly sizeBytes: number;
  /** How often an operator asked for a resync. */
  readonly resyncRequests: number;
  /** How often the pair was moved to another process server. */
  readonly moves: number;
  /** The process server that it leaves now; `switched`: its agent sends there no more. */
  readonly leaving: { readonly fromId: string; readonly switched: boolean } | undefined;
  /** Process servers that it has left. */
  readonly leftProcessServers: readonly string[];
  /** It is in no plan now; what is kept of its points until it joins one again or is removed. */
  readonly leftRetention: RetentionLadder | undefined;
  /** Number of its newest move to another master target; absent: it never moved. */
  readonly placement?: number;
  readonly movingTo?: string | undefined;
  /** Master targets that had it or were on the way to. */
  readonly formerTargets?: readonly string[];
}

export interface RemovedPair extends DesiredPair {
  readonly deleteData: boolean;
}

export interface DesiredPlan {
  readonly planId: string;
  readonly paused: boolean;
  readonly retention: RetentionLadder;
  readonly pins: readonly Pin[];
  readonly consistencyIntervalSeconds: number | undefined;
  readonly consistencyLevel?: ConsistencyLevel;
  readonly compression: 'none' | 'source' | 'process-server';
  readonly deduplication?: boolean;
  readonly folding: boolean;
  readonly bandwidth: Bandwidth | undefined;
}

/** Everything that the documents follow from. */
export interface DesiredStateSources {
  readonly volumes: readonly DesiredVolume[];
  readonly plans: ReadonlyMap<string, DesiredPlan>;
  readonly pairs: readonly DesiredPair[];
  readonly removedPairs: readonly RemovedPair[];
  /** Of the pairs that have to read their whole volume. */
  readonly turns: ReadonlyMap<string, ResyncTurn>;
  /** Data-plane address of each component that said it. */
  readonly urls: ReadonlyMap<string, string>;
  /** Of each host. */
  readonly priorities: ReadonlyMap<string, Priority>;
  /** Of each master target that has a limit. */
  readonly bandwidths: ReadonlyMap<string, Bandwidth>;
}

type Unnumbered<Document> = Omit<Document, 'revision'>;

/** Change-buffer memory of one volume, and spool space of one pair. */
export const bufferBytesDefault = 250_000_000;
export const spoolBytesMaxDefault = { resync: 8 * GIB, differential: 64 * GIB };

/** What the agent of a host should do. A pair whose process server has no address yet waits. */
export function desiredAgentState(hostId: string, sources: DesiredStateSources): Unnumbered<AgentDesiredState> {
  const volumes = sources.volumes.filter((volume) => volume.hostId === hostId).map((volume) => desiredVolume(volume, sources));
  return { volumes: sortedBy(volumes, (volume) => volume.volumeId), consistencyGroups: consistencyGroups(hostId, sources) };
}

function desiredVolume(volume: DesiredVolume, sources: DesiredStateSources): AgentDesiredState['volumes'][number] {
  const { volumeId, name, tap, sizeBytes, hooks = [] } = volume;
  const pair = desiredAgentPair(volumeId, sources);
  return { volumeId, name, tap, ...(sizeBytes === undefined ? {} : { sizeBytes }), ...(pair === undefined ? {} : { pair }), ...(hooks.length === 0 ? {} : { hooks: [...hooks] }) };
}

function desiredAgentPair(volumeId: string, sources: DesiredStateSources): AgentDesiredState['volumes'][number]['pair'] {
  const pair = sources.pairs.find((one) => one.volumeId === volumeId);
  const plan = pair && planOf(pair, sources);
  const processServerUrl = pair && sources.urls.get(pair.processServerId);
  if (!plan || processServerUrl === undefined) return undefined;
  const compression = plan.compression === 'source' ? 'source' : 'none';
  const resyncTurn = (sources.turns.get(pair.pairId)?.kind ?? 'go') === 'go';
  return {
    pairId: pair.pairId, processServerUrl, move: pair.moves, paused: plan.paused, ...(pair.leftRetention ? { standby: true } : {}), compression, folding: plan.folding, bufferBytes: bufferBytesDefault,
    resyncRequest: pair.resyncRequests, resyncTurn,
  };
}

/**
 * One group per plan with the plan's volumes on this host; without an interval the agent cuts it on demand only.
 */
function consistencyGroups(hostId: string, sources: DesiredStateSources): AgentDesiredState['consistencyGroups'] {
  const groups = new Map<string, string[]>();
  for (const pair of sources.pairs) if (pair.hostId === hostId && pair.leftRetention === undefined) groups.set(pair.planId, [...(groups.get(pair.planId) ?? []), pair.volumeId]);
  return sortedBy([...groups], ([planId]) => planId).map(([planId, volumeIds]) => {
    const plan = sources.plans.get(planId);
    const isOwn = plan && !plan.paused && areCutByAgent(plan, sources.pairs.filter((pair) => pair.planId === planId));
    const seconds = isOwn ? plan.consistencyIntervalSeconds : undefined;
    return { planId, volumeIds: volumeIds.sort(), ...(seconds === undefined ? {} : { intervalSeconds: seconds }) };
  });
}

export function desiredProcessServerState(processServerId: string, sources: DesiredStateSources): Unnumbered<ProcessServerDesiredState> {
  const pairs = sources.pairs.filter((pair) => processServersOf(pair).includes(processServerId)).flatMap((pair) => {
    const plan = planOf(pair, sources);
    const masterTargetUrl = sources.urls.get(pair.masterTargetId);
    if (!plan || masterTargetUrl === undefined) return [];
    const compression = plan.compression === 'process-server' ? 'process-server' as const : 'none' as const;
    const links = linksOf(pair, sources);
    return [{
      pairId: pair.pairId, masterTargetUrl, compression, ...deduplicationOf(plan), spoolBytesMax: spoolBytesMaxDefault, paused: plan.paused,
      ...handoverOf(pair, processServerId), move: pair.moves,
      priority: sources.priorities.get(pair.hostId) ?? 'normal', linkIds: links.map(({ linkId }) => linkId), links,
    }];
  });
  const links = new Map(pairs.flatMap((pair) => pair.links).map((link) => [link.linkId, link]));
  return {
    pairs: sortedBy(pairs, (pair) => pair.pairId).map(({ links: _links, ...pair }) => pair),
    removedPairs: pairsLeftBehind(processServerId, sources).sort(),
    links: sortedBy([...links.values()], ({ linkId }) => linkId),
  };
}

/** Those that have change sets of the pair, or may get some. */
function processServersOf({ processServerId, leaving }: DesiredPair): string[] {
  return leaving ? [processServerId, leaving.fromId] : [processServerId];
}

/** Until the agent has switched, the old process server goes on as it was. */
function handoverOf({ processServerId, leaving }: DesiredPair, ofProcessServer: string): Pick<ProcessServerDesiredState['pairs'][number], 'handover'> {
  if (!leaving || (ofProcessServer === leaving.fromId && !leaving.switched)) return {};
  return { handover: ofProcessServer === processServerId ? 'to' : 'from' };
}

/** Pairs whose change sets this process server need not keep any more. */
function pairsLeftBehind(processServerId: string, { pairs, removedPairs }: DesiredStateSources): string[] {
  const was = (pair: DesiredPair): boolean => [...processServersOf(pair), ...pair.leftProcessServers].includes(processServerId);
  return [...removedPairs.filter(was), ...pairs.filter((pair) => was(pair) && !processServersOf(pair).includes(processServerId))].map(({ pairId }) => pairId);
}

/** How the pair is treated. One that is in no plan is not sent and keeps its points as it was said when it left. */
function planOf(pair: DesiredPair, { plans }: Pick<DesiredStateSources, 'plans'>): Pick<DesiredPlan, 'paused' | 'retention' | 'compression' | 'folding' | 'deduplication'> | undefined {
  const { leftRetention: retention, planId } = pair;
  return retention ? { paused: false, retention, compression: 'none', folding: false } : plans.get(planId);
}

/** The limits that hold for a pair, its plan's first. Process servers that share a limit get equal parts of it, and so does what is copied to the target from others. */
function linksOf(pair: DesiredPair, { plans, bandwidths, pairs }: DesiredStateSources): LimitedLink[] {
  const limits = [
    { linkId: pair.planId, bandwidth: plans.get(pair.planId)?.bandwidth, sharers: pairs.filter(({ planId }) => planId === pair.planId) },
    { linkId: pair.masterTargetId, bandwidth: bandwidths.get(pair.masterTargetId), sharers: pairs.filter(({ masterTargetId }) => masterTargetId === pair.masterTargetId) },
  ];
  return limits.flatMap(({ linkId, bandwidth, sharers }) => {
    const arrivals = pairs.some(({ movingTo }) => movingTo === linkId) ? 1 : 0;
    const parts = new Set(sharers.flatMap(processServersOf)).size + arrivals;
    return bandwidth ? [{ linkId, bandwidth: partOf(bandwidth, parts) }] : [];
  });
}

function partOf({ timeZone, rules }: Bandwidth, parts: number): Bandwidth {
  return { timeZone, rules: rules.map((rule) => ({ ...rule, bytesPerSecond: Math.floor(rule.bytesPerSecond / parts) })) };
}

/** The replica of a removed pair is deleted only where that was asked for. */
export function desiredMasterTargetState(masterTargetId: string, sources: DesiredStateSources): Unnumbered<MasterTargetDesiredState> {
  const atHome = (pair: DesiredPair): MasterTargetPair | undefined => pairAtHome(pair, sources);
  const pairs = sources.pairs.filter((pair) => pair.masterTargetId === masterTargetId).flatMap((pair) => atHome(pair) ?? []);
  const arriving = arrivingPairs(masterTargetId, { ...sources, atHome });
  const departed = departedPairs(masterTargetId, sources);
  const removed = sources.removedPairs.filter((pair) => pair.masterTargetId === masterTargetId && pair.deleteData);
  return {
    pairs: sortedBy(pairs, (pair) => pair.pairId), removedPairs: removed.map((pair) => pair.pairId).sort(),
    ...(arriving.length === 0 ? {} : { arrivingPairs: sortedBy(arriving, (pair) => pair.pairId), ...arrivalBandwidth(masterTargetId, sources) }),
    ...(departed.length === 0 ? {} : { departedPairs: sortedBy(departed, (pair) => pair.pairId) }),
  };
}

function arrivalBandwidth(masterTargetId: string, { bandwidths, pairs }: DesiredStateSources): Pick<MasterTargetDesiredState, 'arrivalBandwidth'> {
  const limit = bandwidths.get(masterTargetId);
  const senders = new Set(pairs.filter((pair) => pair.masterTargetId === masterTargetId).flatMap(processServersOf));
  return limit ? { arrivalBandwidth: partOf(limit, senders.size + 1) } : {};
}

/** As the master target that has the pair is told; undefined without a plan. */
function pairAtHome(pair: DesiredPair, sources: DesiredStateSources): MasterTargetPair | undefined {
  const plan = planOf(pair, sources);
  if (!plan) return undefined;
  const { pairId, volumeId, volumeName, sizeBytes } = pair;
  return { pairId, volumeId, volumeName, sizeBytes, retention: plan.retention, ...pinsOf(pairId, sources.plans), ...deduplicationOf(plan), ...placementAtHome(pair) };
}

function deduplicationOf({ deduplication }: Pick<DesiredPlan, 'deduplication'>): Pick<MasterTargetPair, 'deduplication'> {
  return deduplication === true ? { deduplication } : {};
}

/** Of whatever plan: the plan that pinned a point may not be the one that the pair is in now. */
function pinsOf(pairId: string, plans: DesiredStateSources['plans']): Pick<MasterTargetPair, 'pins'> {
  const own = [...plans.values()].flatMap(({ pins }) => pins).flatMap(({ pinId, points }) => points.filter((point) => point.pairId === pairId).map(({ time }) => ({ pinId, time })));
  return own.length === 0 ? {} : { pins: own };
}

function sortedBy<Item>(items: readonly Item[], key: (item: Item) => string): Item[] {
  return [...items].sort((left, right) => (key(left) < key(right) ? -1 : 1));
}
