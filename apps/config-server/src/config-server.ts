// SPDX-License-Identifier: Apache-2.0
/** Puts the parts of the configuration server together, in the order in which they need each other, and takes them apart again. */
import { type ComponentIdentity, identityFiles, IdentityRotator, optionalClientTlsOptions, secureContextOptions } from '@secondsite/certificates';
import { type CurrentEvent, eventSubjectFilter } from '@secondsite/contracts';
import { EventStore, feedLag, openEventDatabase, relayName, startEventRelay } from '@secondsite/event-store';
import { MessageBus } from '@secondsite/messaging';
import { type HttpService, startHttpService } from '@secondsite/service-kit';
import { isOperationError } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { BusAccess } from './bus-access/bus-access';
import { CommandRunner } from './commands/command-runner';
import { ComponentAddresses } from './component-events/component-addresses';
import { ComponentEvents } from './component-events/component-events';
import type { ConfigServerConfig } from './config';
import { busControllers, restControllers } from './controllers';
import { AddBandwidth1764180000000 } from './database/bandwidth.migration';
import { AddPlanPins1764180000000 } from './database/plan-pins.migration';
import { CreateReadModels1763770000000 } from './database/read-models.migration';
import { AddResyncColumns1764180000000 } from './database/resync.migration';
import { AddConsistency1763980000000 } from './database/consistency.migration';
import { AddDeduplication1764190000000 } from './database/deduplication.migration';
import { AddMoves1764190000000 } from './database/moves.migration';
import { AddTargetMoves1764200000000 } from './database/target-moves.migration';
import { DesiredStatePublisher } from './desired-state/desired-state.publisher';
import { AlertWatch } from './live/alert-watch';
import { LiveStatus } from './live/live-status';
import { MoveWatch } from './live/move-watch';
import { observePairs } from './live/observe-pairs';
import { PairStatuses } from './live/pair-statuses';
import { PairWatch } from './live/pair-watch';
import { TargetMoveWatch } from './moves/target-move-watch';
import { Rounds } from './live/rounds';
import { problemRules } from './problem-rules';
import { KeptPairs } from './protection/kept-pairs';
import { providers } from './providers';
import { AddAlerts1763780000000 } from './read-models/alerts';
import { readModels } from './read-models/apply-event';
import { DirectoryCache } from './read-models/directory-cache';
import { livePairs } from './read-models/find';
import { ResyncQueue } from './resync/resync-queue';
import { BookmarkRecords } from './recovery/bookmark-records';
import { BookmarkService } from './recovery/bookmarks';
import { PeriodicBookmarks } from './recovery/periodic-bookmarks';
import { AuditAllowance } from './security/audit-allowance';
import { issueOwnIdentity, ownComponentId, type PreparedAuthority, prepareAuthority } from './security/prepare-authority';
import { RefusalAudit } from './security/refusal-audit';
import { ServerClock } from './server-clock';

export interface ConfigServer {
  readonly url: string;
  /** Facts about its neighbours, for readiness and metrics. */
  readonly health: { readonly isBusConnected: () => boolean; readonly checkDatabase: () => Promise<undefined> };
  /** Answers what was asked, hands over what is committed, closes. Idempotent. */
  close(): Promise<void>;
}

const migrations = [
  CreateReadModels1763770000000, AddBandwidth1764180000000, AddResyncColumns1764180000000, AddAlerts1763780000000, AddPlanPins1764180000000, AddConsistency1763980000000,
  AddDeduplication1764190000000, AddMoves1764190000000, AddTargetMoves1764200000000,
];
const ownSource = `/config-server/${ownComponentId}`;

/** Waits for the database, not for the bus. */
export async function startConfigServer(parts: { readonly config: ConfigServerConfig; readonly logger: Logger; readonly signal?: AbortSignal }): Promise<ConfigServer> {
  const { config, logger, signal } = parts;
  const prepared = await prepareAuthority(config);
  const dataSource = await openEventDatabase({
    url: config.databaseUrl, applicationName: 'secondsite config-server', migrations, log: logger, ...(signal ? { signal } : {}),
  });
  const bus = await startBus(config, logger);
  const streams = keepStreams({ bus, logger });
  const core = buildCore({ config, logger, dataSource, bus, prepared });
  const http = await startService({ config, logger, prepared, core, bus });
  const rotator = startRotation({ config, logger, prepared, http });
  const background = startBackground({ config, logger, core, bus, streams });
  return {
    url: `${config.insecure ? 'http' : 'https'}://${config.advertiseHost}:${http.port}`,
    health: {
      isBusConnected: () => bus.isConnected,
      checkDatabase: async () => {
        await dataSource.query('select 1');
        return undefined;
      },
    },
    close: once(async () => {
      await rotator.stop();
      await http.close();
      await background.close();
      await bus.close();
      await dataSource.destroy();
    }),
  };
}

export type Core = ReturnType<typeof buildCore>;

async function startBus(config: ConfigServerConfig, logger: Logger): Promise<MessageBus> {
  const identity = { tenantId: config.tenantId, role: 'config-server', componentId: ownComponentId } as const;
  const { caFile, certFile, keyFile } = identityFiles(config.dataDir);
  return MessageBus.start({ servers: config.natsUrls, identity, log: logger, ...(config.insecure ? {} : { tls: { caFile, certFile, keyFile } }) });
}

interface CoreParts {
  readonly config: ConfigServerConfig;
  readonly logger: Logger;
  readonly dataSource: DataSource;
  readonly bus: MessageBus;
  readonly prepared: PreparedAuthority;
}

function buildCore({ config, logger, dataSource, bus, prepared }: CoreParts) {
  const { tenantId } = config;
  const clock = new ServerClock();
  const store = new EventStore(dataSource, { tenantId, projections: readModels, ownSource });
  const directories = new DirectoryCache(dataSource);
  const live = new LiveStatus(clock);
  const queue = new ResyncQueue(clock, config.resyncsAtOnce);
  const publisher = new DesiredStatePublisher({ bus, directories, live, queue, logger });
  const busAccess = new BusAccess({ config, logger, directories, authority: prepared.authority });
  const onCommitted = (_events: readonly CurrentEvent[]): void => {
    directories.invalidate();
    busAccess.trigger();
    publisher.trigger();
  };
  const commands = new CommandRunner(store, { tenantId, source: ownSource, now: () => clock.now(), newId: randomUUID, onCommitted });
  const componentEvents = new ComponentEvents({ commands, store, ownSource, logger, insecure: config.insecure });
  return { clock, store, directories, live, queue, publisher, busAccess, commands, componentEvents };
}

interface ServiceParts {
  readonly config: ConfigServerConfig;
  readonly logger: Logger;
  readonly prepared: PreparedAuthority;
  readonly core: Core;
  readonly bus: MessageBus;
}

/** REST and bus: everything that comes from outside. Events of components are taken from one durable consumer, so that they come in order. */
function startService({ config, logger, prepared, core, bus }: ServiceParts): Promise<HttpService> {
  const { tenantId } = config;
  const allowance = new AuditAllowance(Date.now);
  const audit = new RefusalAudit({ commands: core.commands, componentId: ownComponentId, logger, allowance });
  return startHttpService({
    controllers: [...restControllers, ...busControllers], providers: providers({ config, core, bus, authority: prepared.authority, allowance }), listen: config.listen, logger,
    bus: { bus, events: { durable: `config-server-${tenantId}`, subjects: [eventSubjectFilter({ tenantId })], isOutage: (error) => isOperationError(error, 'database/unavailable') } },
    problems: problemRules, access: { adminToken: prepared.adminToken, onRefused: (refusal) => audit.record(refusal) },
    ...(config.insecure ? {} : { tls: optionalClientTlsOptions(prepared.identity) }),
  });
}

/** This server is its own authority, so it renews its certificate without asking anybody. */
function startRotation(parts: { readonly config: ConfigServerConfig; readonly logger: Logger; readonly prepared: PreparedAuthority; readonly http: HttpService }): IdentityRotator {
  const { config, logger, prepared, http } = parts;
  const rotator = new IdentityRotator({
    dataDir: config.dataDir, identity: prepared.identity, dnsNames: config.certificateNames, renew: () => issueOwnIdentity(config, prepared.authority),
    onFailure: (error, notAfter) => logger.error({ err: error, notAfter }, 'own certificate not renewed; trying again'),
  });
  rotator.onRotated((identity: ComponentIdentity) => http.setCertificate(secureContextOptions(identity)));
  rotator.start();
  return rotator;
}

function startBackground({ config, logger, core, bus, streams }: Omit<ServiceParts, 'prepared'> & { readonly streams: KeptStreams }): { close(): Promise<void> } {
  const { busAccess, clock, commands, directories, live, publisher, queue, store } = core;
  const stopTrigger = bus.link.onConnected(() => {
    busAccess.trigger();
    void streams.made.then(() => publisher.trigger());
  });
  const relay = startEventRelay({ url: config.databaseUrl, publisher: bus, log: logger });
  const addresses = new ComponentAddresses(commands, live);
  const pairs = new PairWatch({ commands, directories, live, addresses, clock, queue, stallSeconds: config.stallSeconds });
  const alerts = new AlertWatch({ commands, directories, live, clock, limits: { silentSeconds: config.silentSeconds, freeBytesMin: config.freeBytesMin } });
  const moves = new MoveWatch({ commands, directories, live, clock, giveUpSeconds: config.moveGiveUpSeconds });
  const targetMoves = new TargetMoveWatch({ commands, directories, live });
  const kept = new KeptPairs({ commands, directories, clock });
  const rounds = new Rounds({
    logger,
    looks: [
      { name: 'pairs', look: () => pairs.look() }, { name: 'alerts', look: () => alerts.look() }, { name: 'moves', look: () => moves.look() },
      { name: 'target moves', look: () => targetMoves.look() }, { name: 'kept pairs', look: () => kept.look() },
    ],
  });
  const statuses = new PairStatuses({ live, clock, queue, moveGiveUpSeconds: config.moveGiveUpSeconds });
  const bookmarks = new BookmarkService({ bus, records: new BookmarkRecords(store), commands, directories, clock });
  const periodic = new PeriodicBookmarks({ bookmarks, directories, clock, logger });
  const stopObserving = observePairs({
    pairs: async () => directories.load().then((directory) => statuses.of(livePairs(directory), directory)),
    alerts: async () => (await directories.load()).alerts,
    relayLag: () => feedLag(store.dataSource.manager, { name: relayName, events: 'to-relay' }),
  });
  busAccess.trigger();
  publisher.trigger();
  return {
    close: async () => {
      stopTrigger();
      stopObserving();
      await streams.close();
      await rounds.close();
      await periodic.close();
      await publisher.close();
      await busAccess.close();
      await relay.close();
    },
  };
}

interface KeptStreams {
  /** Streams and bucket are there when it resolves, or the server is closing. */
  readonly made: Promise<void>;
  close(): Promise<void>;
}

/** Begun first: consumers find their stream then. */
function keepStreams({ bus, logger }: { readonly bus: MessageBus; readonly logger: Logger }): KeptStreams {
  const closing = new AbortController();
  const made = makeStreams({ bus, logger, signal: closing.signal });
  return {
    made,
    close: () => {
      closing.abort();
      return made;
    },
  };
}

async function makeStreams({ bus, logger, signal }: { readonly bus: MessageBus; readonly logger: Logger; readonly signal: AbortSignal }): Promise<void> {
  while (!signal.aborted) {
    try {
      await bus.keepTopology({}, 1_000);
      return;
    } catch (error) {
      if (!isOperationError(error, 'bus/not-connected')) logger.warn({ err: error }, 'streams not made; trying again');
    }
    await delay(250, undefined, { signal }).catch(() => undefined);
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
