// SPDX-License-Identifier: Apache-2.0
import {
  type ChangeSetHops, type ChangeSetTrace, traceAtAgentOperation, traceAtMasterTargetOperation, traceAtProcessServerOperation,
} from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { RefusedRequest } from '@secondsite/service-kit';
import { isOperationError, microsFromIso } from '@secondsite/units';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findVolume, pairOfVolume } from '../read-models/find';

interface Place {
  readonly operation: typeof traceAtAgentOperation;
  readonly componentId: string;
}

interface Told {
  readonly component: string;
  readonly changeSet: ChangeSetHops | undefined;
  readonly answered: boolean;
}

interface Wanted {
  readonly epoch?: number | undefined;
  readonly sequence?: number | undefined;
}

const askMillisMax = 3_000;

/** Follows one change set through the components that saw it. */
export class TraceService {
  constructor(private readonly bus: MessageBus, private readonly directories: DirectoryCache) {}

  /** Without a number: the newest that the target applied, else the newest that any component remembers. */
  async follow(reference: string, wanted: Wanted): Promise<ChangeSetTrace> {
    const directory = await this.directories.load();
    const volume = findVolume(directory, reference);
    const { pairId, processServerId, masterTargetId, hostId } = pairOfVolume(directory, volume);
    const places: Place[] = [
      { operation: traceAtMasterTargetOperation, componentId: masterTargetId },
      { operation: traceAtProcessServerOperation, componentId: processServerId },
      { operation: traceAtAgentOperation, componentId: hostId },
    ];
    const told: Told[] = [];
    let which = wanted;
    for (const place of places) {
      const answer = await this.#ask(place, { pairId, wanted: which });
      told.push(answer);
      if (answer.changeSet) which = { epoch: answer.changeSet.epoch, sequence: answer.changeSet.sequence };
    }
    if (which.epoch === undefined || which.sequence === undefined || told.every((answer) => !answer.changeSet)) throw nothingToFollow(volume.name);
    return { volumeId: volume.volumeId, volumeName: volume.name, pairId, epoch: which.epoch, sequence: which.sequence, ...assemble(told) };
  }

  async #ask({ operation, componentId }: Place, { pairId, wanted }: { readonly pairId: string; readonly wanted: Wanted }): Promise<Told> {
    const component = `${operation.role} ${componentId}`;
    const { epoch, sequence } = wanted;
    const request = { pairId, ...(epoch === undefined || sequence === undefined ? {} : { epoch, sequence }) };
    try {
      const reply = await this.bus.request(operation, { componentId, timeoutMillis: askMillisMax }, request);
      return { component, changeSet: reply.changeSet, answered: true };
    } catch (error) {
      if (isOperationError(error, 'bus/no-responder') || isOperationError(error, 'bus/timeout')) return { component, changeSet: undefined, answered: false };
      throw error;
    }
  }
}

/** Hops in order of time; the first one is the zero of `sinceFirstMillis`. */
function assemble(told: readonly Told[]): Pick<ChangeSetTrace, 'hops' | 'silent' | 'storedBytes' | 'entryCount' | 'traceId'> {
  const known = told.flatMap(({ component, changeSet }) => (changeSet?.hops ?? []).map((hop) => ({ ...hop, component, micros: microsFromIso(hop.at) ?? 0 })));
  const hops = known.sort((left, right) => left.micros - right.micros);
  const first = hops[0]?.micros ?? 0;
  const sets = told.flatMap((answer) => (answer.changeSet ? [answer.changeSet] : []));
  const pick = <Name extends 'storedBytes' | 'entryCount' | 'traceId'>(name: Name): Pick<ChangeSetHops, Name> | object => {
    const value = sets.findLast((set) => set[name] !== undefined)?.[name];
    return value === undefined ? {} : { [name]: value };
  };
  return {
    hops: hops.map(({ hop, component, at, micros }) => ({ hop, component, at, sinceFirstMillis: (micros - first) / 1000 })),
    silent: told.filter((answer) => !answer.answered).map((answer) => answer.component),
    ...pick('storedBytes'), ...pick('entryCount'), ...pick('traceId'),
  };
}

function nothingToFollow(name: string): RefusedRequest {
  const hint = 'Wait for the next write or heartbeat (a second); without epoch and sequence the newest is followed.';
  return new RefusedRequest({ status: 404, code: 'trace/unknown', detail: `no component remembers this change set of volume ${name}`, hint });
}
