// SPDX-License-Identifier: Apache-2.0
import { RefusedRequest } from '@secondsite/service-kit';
import type { ComponentRow, Directory, HostRow, PairRow, PlanRow, VolumeRow } from './directory';

/** What a user means by a name or id: a plan, or one volume. */
export type Subject = { readonly kind: 'plan' | 'volume'; readonly id: string; readonly name: string; readonly pairs: readonly PairRow[] };

/** Throws RefusedRequest `plan/unknown`. A removed plan is found only by `includeRemoved`, and only when no other has the name. */
export function findPlan(directory: Directory, reference: string, options: { readonly includeRemoved?: boolean } = {}): PlanRow {
  const able = directory.plans.filter((plan) => options.includeRemoved === true || plan.state !== 'removed');
  return able.find((plan) => plan.planId === reference) ?? able.find((plan) => plan.name === reference) ?? unknown('plan', reference);
}

export function findVolume(directory: Directory, reference: string): VolumeRow {
  const { volumes } = directory;
  return volumes.find((volume) => volume.volumeId === reference) ?? volumes.find((volume) => volume.name === reference) ?? unknown('volume', reference);
}

export function findHostRow(directory: Directory, reference: string): HostRow {
  return directory.hosts.find((host) => host.hostId === reference) ?? directory.hosts.find((host) => host.name === reference) ?? unknown('host', reference);
}

export function findComponent({ components }: Directory, reference: string): ComponentRow {
  return components.find((component) => component.componentId === reference) ?? components.find((component) => component.name === reference) ?? unknown('component', reference);
}

/** Pairs that replicate for a plan. */
export function livePairs(directory: Directory): PairRow[] {
  return directory.pairs.filter((pair) => pair.state !== 'removed' && pair.leftRetention === undefined);
}

/** Pairs in no plan whose replica and points are kept for a while. */
export function keptPairs(directory: Directory): PairRow[] {
  return directory.pairs.filter((pair) => pair.state !== 'removed' && pair.leftRetention !== undefined);
}

export function pairsOfPlan(directory: Directory, planId: string): PairRow[] {
  return livePairs(directory).filter((pair) => pair.planId === planId);
}

/** Pair of a volume. Throws RefusedRequest `volume/not-protected`. */
export function pairOfVolume(directory: Directory, volume: VolumeRow): PairRow {
  return pairIn(livePairs(directory), volume);
}

function pairIn(pairs: readonly PairRow[], volume: VolumeRow): PairRow {
  const pair = pairs.find((one) => one.volumeId === volume.volumeId);
  if (pair) return pair;
  const detail = `volume ${volume.name} is not protected`;
  throw new RefusedRequest({ status: 409, code: 'volume/not-protected', detail, hint: 'Create a plan with it first.' });
}

/**
 * A plan or volume by name or id; a plan wins when both have the name. A volume that left its plan is found as long as its points are kept. Throws RefusedRequest `subject/unknown` or `volume/not-protected`.
 */
export function findSubject(directory: Directory, reference: string): Subject {
  const plan = directory.plans.find((one) => one.state !== 'removed' && (one.planId === reference || one.name === reference));
  if (plan) return { kind: 'plan', id: plan.planId, name: plan.name, pairs: pairsOfPlan(directory, plan.planId) };
  const volume = directory.volumes.find((one) => one.volumeId === reference || one.name === reference);
  if (!volume) return unknown('subject', reference, 'there is no plan or volume');
  return { kind: 'volume', id: volume.volumeId, name: volume.name, pairs: [pairIn([...livePairs(directory), ...keptPairs(directory)], volume)] };
}

function unknown(what: string, reference: string, words = `there is no ${what}`): never {
  const hint = what === 'subject' ? 'List plans and volumes to see their names.' : `List the ${what}s to see their names.`;
  throw new RefusedRequest({ status: 404, code: `${what}/unknown`, detail: `${words} ${reference}`, hint });
}
