// SPDX-License-Identifier: Apache-2.0
/**
 * What every component of the data plane is before it does its work: somebody with an identity that is renewed, and a voice on the bus.
 * Joining waits for the enrolment, never for the bus.
 */
import { type ComponentIdentity, ensureIdentity, identityFiles, IdentityRotator } from '@secondsite/certificates';
import type { CloudEvent, DataPlaneRole, EventMaker } from '@secondsite/contracts';
import { openDirectory, writeJsonAtomically } from '@secondsite/disk-files';
import { type AddOptions, type BusLog, MessageBus } from '@secondsite/messaging';
import { join } from 'node:path';
import type { ComponentConfig } from './component-config';
import { onlyOne } from './only-one';

/** How facts leave a component as events. */
export interface EventOutlet {
  readonly events: EventMaker;
  readonly componentId: string;
  /**
   * Durable on this machine soon, on the bus when that is there. Never throws and never blocks; what is lost (no space to keep it) is logged.
   * `replacesOlder`: of a frequent fact only the newest waits while the bus is away, so that hours of it leave room for everything else.
   */
  publish(event: CloudEvent, fact: string, options?: AddOptions): void;
}

export interface JoinOptions {
  readonly role: DataPlaneRole;
  readonly config: ComponentConfig;
  readonly log: BusLog;
  /** The process cannot go on: another one has its identity. */
  readonly onFatal: (error: unknown) => void;
}

interface MemberParts extends JoinOptions {
  readonly bus: MessageBus;
  readonly rotator: IdentityRotator | undefined;
}

export class ClusterMember implements EventOutlet {
  readonly #parts: MemberParts;

  private constructor(parts: MemberParts) {
    this.#parts = parts;
  }

  /** Makes the data folder, enrols at the first start, begins to look for the bus. Throws `component/copied` when another process has this identity. */
  static async join(options: JoinOptions): Promise<ClusterMember> {
    const { config, log } = options;
    await openDirectory(config.dataDir);
    if (config.insecure) log.warn({}, 'SECONDSITE_INSECURE=1: everything is readable and writable by everyone on the network; for development only');
    const identity = config.insecure ? undefined : await enrolled(options);
    const bus = await startBus(options, identity);
    await onlyOne({ ...options, bus, dataDir: config.dataDir });
    return new ClusterMember({ ...options, bus, rotator: identity && rotatorOf(options, identity) });
  }

  get bus(): MessageBus {
    return this.#parts.bus;
  }

  get log(): BusLog {
    return this.#parts.log;
  }

  get events(): EventMaker {
    return this.bus.events;
  }

  get componentId(): string {
    return this.bus.identity.componentId;
  }

  /** The newest identity; undefined with SECONDSITE_INSECURE=1. */
  get identity(): ComponentIdentity | undefined {
    return this.#parts.rotator?.current;
  }

  onRotated(listener: (identity: ComponentIdentity) => void): void {
    this.#parts.rotator?.onRotated(listener);
  }

  publish(event: CloudEvent, fact: string, options?: AddOptions): void {
    this.bus.publishEventEventually(event, options).catch((error: unknown) => this.log.error({ err: error, fact }, 'an event was lost'));
  }

  /** Begins to renew the certificate and writes ready.json: from now on others may rely on it. */
  async announce(addresses: { readonly url?: string | undefined; readonly metricsUrl: string | undefined }): Promise<void> {
    this.#parts.rotator?.start();
    const { role, componentId, tenantId } = this.bus.identity;
    await writeJsonAtomically(join(this.#parts.config.dataDir, 'ready.json'), { pid: process.pid, ...addresses, role, componentId, tenantId });
  }

  /** Ends renewals, `stop`s the work while the bus is still there, then leaves the bus. */
  async leave(stop: () => Promise<void>): Promise<void> {
    await this.#parts.rotator?.stop();
    await stop();
    await this.bus.close();
  }
}

function enrolled({ config, log }: JoinOptions): Promise<ComponentIdentity> {
  const { dataDir, componentName: name, advertiseHost } = config;
  return ensureIdentity({
    dataDir,
    enrolment: config.enrolment && { ...config.enrolment, name, dnsNames: [advertiseHost] },
    onRetry: (error) => log.warn({ err: error }, 'enrolment is tried again'),
  });
}

function rotatorOf({ config, log }: JoinOptions, identity: ComponentIdentity): IdentityRotator {
  return new IdentityRotator({
    dataDir: config.dataDir,
    identity,
    dnsNames: [config.advertiseHost],
    onFailure: (error, notAfter) => log.error({ err: error, notAfter }, 'the certificate could not be renewed; trying again'),
  });
}

function startBus({ role, config, log }: JoinOptions, identity: ComponentIdentity | undefined): Promise<MessageBus> {
  const names = identity ?? { componentId: config.componentName, tenantId: config.insecure?.tenantId ?? 'default' };
  return MessageBus.start({
    servers: identity?.natsUrls ?? config.insecure?.natsUrls ?? [],
    identity: { role, componentId: names.componentId, tenantId: names.tenantId },
    tls: identity && identityFiles(config.dataDir),
    pendingEventsFile: join(config.dataDir, 'pending-events.log'),
    log,
  });
}
