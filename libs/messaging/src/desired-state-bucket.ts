// SPDX-License-Identifier: Apache-2.0
import { type DataPlaneRole, desiredStateKey, type DesiredStateOf, desiredStateSchemas, streamNames } from '@secondsite/contracts';
import type { Msg } from 'nats';
import { isDeepStrictEqual } from 'node:util';
import { busError } from './bus-error';
import type { NatsLink } from './nats-link';

export interface DesiredStateAddress<R extends DataPlaneRole> {
  readonly role: R;
  readonly componentId: string;
}

/** Subject under which the bucket keeps a component's document. */
export function desiredStateSubject(address: DesiredStateAddress<DataPlaneRole>): string {
  return `$KV.${streamNames.desiredState}.${desiredStateKey(address)}`;
}

/**
 * Puts a document if its content differs from what is there; `revision` is set here. Safe against concurrent writers: the loser gets a
 * retryable error. Returns the revision that is in force and whether it is new. Throws OperationError `bus/…`.
 */
export async function putDesiredState<R extends DataPlaneRole>(
  link: NatsLink, address: DesiredStateAddress<R>, document: Omit<DesiredStateOf[R], 'revision'>,
): Promise<{ revision: number; changed: boolean }> {
  const key = desiredStateKey(address);
  const wanted = desiredStateSchemas[address.role].parse({ ...document, revision: 0 });
  try {
    const bucket = await link.connection().jetstream().views.kv(streamNames.desiredState, { bindOnly: true });
    const entry = await bucket.get(key);
    const current = entry && entry.operation === 'PUT' ? entry.json<DesiredStateOf[R]>() : undefined;
    if (current && isDeepStrictEqual({ ...current, revision: 0 }, JSON.parse(JSON.stringify(wanted)))) return { revision: current.revision, changed: false };
    const revision = (current?.revision ?? 0) + 1;
    const text = JSON.stringify({ ...wanted, revision });
    await (entry ? bucket.update(key, text, entry.revision) : bucket.create(key, text));
    return { revision, changed: true };
  } catch (cause) {
    throw busError({ operation: 'put desired state', context: { key }, cause });
  }
}

/** The newest document of a component, or undefined when there is none yet. Needs no right but to read this one key. Throws OperationError `bus/…`. */
export async function getDesiredState<R extends DataPlaneRole>(link: NatsLink, address: DesiredStateAddress<R>): Promise<DesiredStateOf[R] | undefined> {
  try {
    const message = await link.connection().request(`$JS.API.DIRECT.GET.KV_${streamNames.desiredState}.${desiredStateSubject(address)}`, '', { timeout: 5_000 });
    return document(address.role, message);
  } catch (cause) {
    throw busError({ operation: 'get desired state', context: { key: desiredStateKey(address) }, cause });
  }
}

/** JetStream's direct get: status 404 when there is nothing; the header KV-Operation tells that the key was deleted. */
function document<R extends DataPlaneRole>(role: R, message: Msg): DesiredStateOf[R] | undefined {
  const status = message.headers?.code ?? 0;
  if (status === 404 || message.headers?.has('KV-Operation')) return undefined;
  if (status >= 400) throw new Error(`JetStream answered ${status} ${message.headers?.description ?? ''}`);
  return desiredStateSchemas[role].parse(message.json()) as DesiredStateOf[R];
}
