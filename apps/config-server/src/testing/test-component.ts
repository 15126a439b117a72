// SPDX-License-Identifier: Apache-2.0
import { enroll, identityFiles } from '@secondsite/certificates';
import { type DataPlaneRole, type DesiredStateOf, restRoutes, type Telemetry } from '@secondsite/contracts';
import { temporaryFolder } from '@secondsite/embedded-services/testing';
import { MessageBus } from '@secondsite/messaging';
import { join } from 'node:path';
import type { RestClient } from './rest-client';

type Said<R extends DataPlaneRole> = Omit<Extract<Telemetry, { role: R }>, 'role' | 'componentId' | 'tenantId' | 'at'>;

/** A component as the configuration server sees it: really enrolled, really on the bus, without a data plane. */
export class TestComponent<R extends DataPlaneRole> {
  #said: Said<R> | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(readonly role: R, readonly componentId: string, readonly bus: MessageBus, readonly dataDir: string) {}

  static async start<R extends DataPlaneRole>(role: R, { rest, url, host }: { readonly rest: RestClient; readonly url: string; readonly host?: string }): Promise<TestComponent<R>> {
    const body = { role, ...(host === undefined ? {} : { host }) };
    const { token } = await rest.ok<{ token: string }>(restRoutes.issueEnrolmentToken, { body });
    const dataDir = temporaryFolder(role);
    const identity = await enroll({ token, configServerUrl: url, dataDir, name: `test-${role}`, dnsNames: [] });
    const { componentId, tenantId, natsUrls } = identity;
    const { caFile, certFile, keyFile } = identityFiles(dataDir);
    const bus = await MessageBus.start({
      servers: natsUrls, identity: { tenantId, role, componentId }, tls: { caFile, certFile, keyFile }, pendingEventsFile: join(dataDir, 'pending-events'),
    });
    await bus.whenConnected(20_000);
    return new TestComponent(role, componentId, bus, dataDir);
  }

  /** Publishes this telemetry now and ten times a second, until something else is said. */
  say(telemetry: Said<R>): void {
    this.#said = telemetry;
    this.#publish();
    this.#timer ??= setInterval(() => this.#publish(), 100);
  }

  silence(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves when nats-server knows everything that is served here: others ask over connections of their own. */
  served(): Promise<void> {
    return this.bus.link.connection().flush();
  }

  desiredState(): Promise<DesiredStateOf[R] | undefined> {
    return this.bus.getDesiredState({ role: this.role, componentId: this.componentId });
  }

  async close(): Promise<void> {
    this.silence();
    await this.bus.close();
  }

  #publish(): void {
    const { role, componentId } = this;
    const stamp = { role, componentId, tenantId: this.bus.identity.tenantId, at: new Date().toISOString() };
    this.bus.publishTelemetry({ ...stamp, ...this.#said } as unknown as Telemetry);
  }
}
