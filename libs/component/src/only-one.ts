// SPDX-License-Identifier: Apache-2.0
/**
 * Of one component one process runs. A data folder that was copied (a cloned machine, a backup that was started) makes a second one with the same
 * certificate: two agents would feed one replica from two disks, two master targets would each have a part of it.
 */
import { type DataPlaneRole, peerRefusedV1 } from '@secondsite/contracts';
import type { BusLog, Instance, MessageBus } from '@secondsite/messaging';
import { OperationError } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

export interface OnlyOneOptions {
  readonly role: DataPlaneRole;
  readonly bus: MessageBus;
  readonly dataDir: string;
  readonly log: BusLog;
  readonly onFatal: (error: unknown) => void;
}

/** A bus that is away must not hold up a start: those who started apart meet when it is back. */
const busMillisMax = 1_000;

/** Throws `component/copied`, with the bus closed, when another process has this identity; later it is `onFatal` that is told, once. */
export async function onlyOne(options: OnlyOneOptions): Promise<void> {
  const { bus, dataDir, onFatal, log } = options;
  const self: Instance = { instanceId: randomUUID(), startedAtMicros: Date.now() * 1000, hostName: hostname(), pid: process.pid, dataDir };
  const watch = bus.watchForTwins(self, (elder) => {
    void refused(options, elder).then(onFatal);
  });
  await bus.whenConnected(busMillisMax).catch((error: unknown) => log.warn({ err: error }, 'started without the bus; whether another process has this identity is looked at later'));
  const other = await watch.find();
  if (other === undefined) return watch.start();
  const error = await refused(options, other);
  await bus.close();
  throw error;
}

/** What the operator is told, on the bus (`secondsite events`) and here. */
async function refused({ role, bus, dataDir, log }: OnlyOneOptions, other: Instance): Promise<OperationError> {
  const { componentId } = bus.identity;
  const name = `${role.replaceAll('-', ' ')} ${componentId}`;
  const error = new OperationError({
    code: 'component/copied', operation: `run ${name}`, retryable: false,
    context: { dataDir, otherHost: other.hostName, otherPid: other.pid, otherDataDir: other.dataDir },
    hint:
      `It runs already, as process ${other.pid} on ${other.hostName} in ${other.dataDir}; the data folder ${dataDir} is a copy. Remove the copy: a second one needs an empty ` +
      'folder and an enrolment token of its own. If the folder was moved here, end the other process first.',
  });
  const event = bus.events.make(peerRefusedV1, { componentId, role, code: error.code, reason: error.hint.slice(0, 500), remoteAddress: hostname().slice(0, 100) });
  await bus.publishEvent(event).catch((cause: unknown) => log.warn({ err: cause }, 'the refusal could not be published'));
  return error;
}
