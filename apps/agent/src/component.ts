// SPDX-License-Identifier: Apache-2.0
import { type ComponentIdentity, ensureIdentity, identityFiles, IdentityRotator } from '@secondsite/certificates';
import { openDirectory, writeJsonAtomically } from '@secondsite/disk-files';
import { type BusLog, MessageBus } from '@secondsite/messaging';
import { MIB } from '@secondsite/units';
import { join } from 'node:path';
import type { AgentConfig } from './config';
import { ControlLink } from './control/control-link';
import { EventReporter } from './control/event-reporter';
import type { FactReporter } from './control/fact-reporter';
import { recordHopSpans } from './control/hop-spans';
import { AgentHost } from './host/agent-host';
import { BufferBudget } from './volume/buffer-budget';

export interface ComponentSurroundings {
  readonly log: BusLog;
  /** Shown to others in ready.json. */
  readonly metricsUrl: string | undefined;
}

export interface RunningComponent {
  notReadyReason(): string | undefined;
  /** Drains, closes, leaves everything durable. */
  close(): Promise<void>;
}

interface Security {
  readonly identity: ComponentIdentity;
  readonly rotator: IdentityRotator;
}

const SEGMENT_DATA_BYTES = 8 * MIB;

/** Starts everything of an agent: identity, bus, volumes; then writes ready.json. Volumes run before the bus can be reached. */
export async function startComponent(config: AgentConfig, { log, metricsUrl }: ComponentSurroundings): Promise<RunningComponent> {
  const { dataDir } = config;
  await openDirectory(dataDir);
  const security = config.insecure ? undefined : await secure(config, log);
  if (!security) log.warn({}, 'SECONDSITE_INSECURE=1: everything is readable and writable by everyone on the network; for development only');
  const bus = await startBus(config, security, log);
  const { componentId, tenantId } = bus.identity;
  const reporter = new EventReporter({
    events: bus.events,
    componentId,
    publish: (event) => bus.publishEventEventually(event),
    onLost: (error, fact) => log.error({ err: error, fact }, 'an event was lost'),
  });
  const host = await openHost(config, { security, reporter, log });
  const link = new ControlLink({ bus, host, dataDir, log });
  security?.rotator.onRotated((identity) => host.useCredentials(identity));
  security?.rotator.start();
  await writeJsonAtomically(join(dataDir, 'ready.json'), { pid: process.pid, metricsUrl, role: 'agent', componentId, tenantId });
  return {
    notReadyReason: () => host.notReadyReason(),
    close: async () => {
      link.close();
      await security?.rotator.stop();
      await host.close();
      await bus.close();
    },
  };
}

async function secure(config: AgentConfig, log: BusLog): Promise<Security> {
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

function startBus(config: AgentConfig, security: Security | undefined, log: BusLog): Promise<MessageBus> {
  const names = security?.identity ?? { componentId: config.componentName, tenantId: config.insecure?.tenantId ?? 'default' };
  return MessageBus.start({
    servers: security?.identity.natsUrls ?? config.insecure?.natsUrls ?? [],
    identity: { role: 'agent', componentId: names.componentId, tenantId: names.tenantId },
    tls: security && identityFiles(config.dataDir),
    pendingEventsFile: join(config.dataDir, 'pending-events.log'),
    log,
  });
}

function openHost(config: AgentConfig, parts: { readonly security: Security | undefined; readonly reporter: FactReporter; readonly log: BusLog }): Promise<AgentHost> {
  const { dataDir, bufferBytesMax, nbdHost, advertiseHost } = config;
  return AgentHost.open({
    environment: {
      dataDir,
      budget: { shared: BufferBudget.createShared(), bytesMax: bufferBytesMax },
      segmentDataBytes: Math.min(SEGMENT_DATA_BYTES, Math.floor(bufferBytesMax / 16)),
      nbdTcp: nbdHost === undefined ? undefined : { host: nbdHost, advertiseHost },
      traceRatio: config.otlpEndpoint === undefined ? 0 : config.traceRatio,
    },
    credentials: parts.security?.identity,
    onFact: (fact) => parts.reporter.replication(fact),
    onBookmark: (report) => parts.reporter.bookmark(report),
    onPassed: ({ pairId, hops }) => recordHopSpans(pairId, hops),
    onFailure: (error, volumeId) => parts.log.warn({ err: error, volumeId }, 'a volume failed; it is tried again'),
  });
}
