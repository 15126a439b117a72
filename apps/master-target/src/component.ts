// SPDX-License-Identifier: Apache-2.0
import {
  type ComponentIdentity, ensureIdentity, identityFiles, IdentityRotator, secureContextOptions, tlsOptions,
} from '@secondsite/certificates';
import { openDirectory, writeJsonAtomically } from '@secondsite/disk-files';
import { type BusLog, MessageBus } from '@secondsite/messaging';
import { allowEveryone, allowRoles } from '@secondsite/transport';
import { join } from 'node:path';
import type { MasterTargetConfig } from './config';
import type { TargetReporter } from './control/control-plane';
import { ControlLink } from './control/control-link';
import { EventReporter } from './control/event-reporter';
import { refusedPeerReporter } from './control/refused-peer-reporter';
import { TargetServer } from './target/target-server';

export interface ComponentSurroundings {
  readonly log: BusLog;
  /** Shown to others in ready.json. */
  readonly metricsUrl: string | undefined;
  /** The process cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

export interface RunningComponent {
  readonly url: string;
  notReadyReason(): string | undefined;
  close(): Promise<void>;
}

interface Security {
  readonly identity: ComponentIdentity;
  readonly rotator: IdentityRotator;
}

/** Starts everything of a master target: identity, bus, data plane; then writes ready.json. */
export async function startComponent(config: MasterTargetConfig, surroundings: ComponentSurroundings): Promise<RunningComponent> {
  await openDirectory(config.dataDir);
  const security = config.insecure ? undefined : await secure(config, surroundings.log);
  if (!security) surroundings.log.warn({}, 'SECONDSITE_INSECURE=1: everything is readable and writable by everyone on the network; for development only');
  if (!config.dataTls) surroundings.log.warn({}, 'SECONDSITE_DATA_TLS=0: change sets are accepted unencrypted and from anybody who reaches this address');
  const bus = await startBus(config, security, surroundings.log);
  const reporter = new EventReporter({
    events: bus.events,
    componentId: bus.identity.componentId,
    publish: (event) => bus.publishEventEventually(event),
    onLost: (error, fact) => surroundings.log.error({ err: error, fact }, 'an event was lost'),
  });
  const server = await openServer(config, { security, reporter, onFatal: surroundings.onFatal });
  const { port } = await server.listen();
  const url = `${security && config.dataTls ? 'https' : 'http'}://${config.advertiseHost}:${port}`;
  const link = new ControlLink({ bus, server, url });
  followRotation(server, security);
  const { componentId, tenantId } = bus.identity;
  const ready = { pid: process.pid, url, metricsUrl: surroundings.metricsUrl, role: 'master-target', componentId, tenantId };
  await writeJsonAtomically(join(config.dataDir, 'ready.json'), ready);
  return {
    url,
    notReadyReason: () => server.notReadyReason(),
    close: async () => {
      link.close();
      await security?.rotator.stop();
      await server.close();
      await bus.close();
    },
  };
}

async function secure(config: MasterTargetConfig, log: BusLog): Promise<Security> {
  const { dataDir, componentName: name, advertiseHost } = config;
  const identity = await ensureIdentity({
    dataDir,
    enrolment: config.enrolment && { ...config.enrolment, name, dnsNames: [advertiseHost] },
    onRetry: (error) => log.warn({ err: error }, 'enrolment is tried again'),
  });
  const rotator = new IdentityRotator({
    dataDir,
    identity,
    dnsNames: [advertiseHost],
    onFailure: (error, notAfter) => log.error({ err: error, notAfter }, 'the certificate could not be renewed; trying again'),
  });
  return { identity, rotator };
}

function startBus(config: MasterTargetConfig, security: Security | undefined, log: BusLog): Promise<MessageBus> {
  const names = security?.identity ?? { componentId: config.componentName, tenantId: config.insecure?.tenantId ?? 'default' };
  return MessageBus.start({
    servers: security?.identity.natsUrls ?? config.insecure?.natsUrls ?? [],
    identity: { role: 'master-target', componentId: names.componentId, tenantId: names.tenantId },
    tls: security && identityFiles(config.dataDir),
    pendingEventsFile: join(config.dataDir, 'pending-events.log'),
    log,
  });
}

function openServer(
  config: MasterTargetConfig,
  parts: { readonly security: Security | undefined; readonly reporter: TargetReporter; readonly onFatal: (error: unknown) => void },
): Promise<TargetServer> {
  const { security, reporter, onFatal } = parts;
  const { dataDir, listen, advertiseHost, overAllocate, freeBytesMin, cacheBytesMax, memoryBytesMax } = config;
  return TargetServer.open({
    dataDir, listen, advertiseHost, overAllocate, reporter, onFatal,
    limits: { freeBytesMin, cacheBytesMax, memoryBytesMax },
    authorize: security && config.dataTls ? allowRoles({ tenantId: security.identity.tenantId, roles: ['process-server', 'agent'] }) : allowEveryone,
    dataTls: config.dataTls,
    tls: security && { options: tlsOptions(security.identity), tenantId: security.identity.tenantId },
    onRefusedPeer: refusedPeerReporter(reporter, () => performance.now()),
  });
}

function followRotation(server: TargetServer, security: Security | undefined): void {
  security?.rotator.onRotated((identity) => server.useCertificate({ secureContext: secureContextOptions(identity), tls: tlsOptions(identity) }));
  security?.rotator.start();
}
