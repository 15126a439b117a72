// SPDX-License-Identifier: Apache-2.0
import type { Provider } from '@nestjs/common';
import type { CertificateAuthority } from '@secondsite/certificates';
import { MessageBus } from '@secondsite/messaging';
import { ReadModelRebuild } from './administration/rebuild';
import { ComponentEvents } from './component-events/component-events';
import type { ConfigServerConfig } from './config';
import type { Core } from './config-server';
import { DesiredStatePublisher } from './desired-state/desired-state.publisher';
import { Enrolments } from './enrolment/enrolments';
import { InventoryService } from './inventory/inventory';
import { LiveStatus } from './live/live-status';
import { PairStatuses } from './live/pair-statuses';
import { TargetMoves } from './moves/target-moves';
import { PlanService } from './protection/plans';
import { ProcessServerMoves } from './protection/process-server-moves';
import { QuarantineService } from './quarantine/quarantine';
import { DirectoryCache } from './read-models/directory-cache';
import { BookmarkRecords } from './recovery/bookmark-records';
import { BookmarkService } from './recovery/bookmarks';
import { RetentionService } from './recovery/retention';
import { TraceService } from './recovery/traces';
import { ViewService } from './recovery/views';
import { ResyncQueue } from './resync/resync-queue';
import { ResyncService } from './resync/resyncs';
import { ScrubService } from './scrub/scrubs';
import type { AuditAllowance } from './security/audit-allowance';
import { ServerClock } from './server-clock';
import { History } from './status/history';
import { Tenant } from './status/tenant';

interface ProviderParts {
  readonly config: ConfigServerConfig;
  readonly core: Core;
  readonly bus: MessageBus;
  readonly authority: CertificateAuthority;
  readonly allowance: AuditAllowance;
}

/** What the controllers are made from. */
export function providers({ config, core, bus, authority, allowance }: ProviderParts): Provider[] {
  const { clock, commands, componentEvents, directories, live, publisher, queue, store } = core;
  const { tenantId, componentNatsUrls: natsUrls, moveGiveUpSeconds } = config;
  const inventory = new InventoryService(commands, directories, live, clock);
  const statuses = new PairStatuses({ live, clock, queue, moveGiveUpSeconds });
  const records = new BookmarkRecords(store);
  const recovery = { bus, records, commands, directories, clock };
  const plans = new PlanService({ commands, directories, live, inventory, statuses, clock, pairsPerTarget: config.pairsPerTarget });
  return [
    { provide: ServerClock, useValue: clock },
    { provide: DirectoryCache, useValue: directories },
    { provide: MessageBus, useValue: bus },
    { provide: LiveStatus, useValue: live },
    { provide: DesiredStatePublisher, useValue: publisher },
    { provide: ComponentEvents, useValue: componentEvents },
    { provide: Tenant, useValue: new Tenant(tenantId) },
    { provide: InventoryService, useValue: inventory },
    { provide: PairStatuses, useValue: statuses },
    { provide: Enrolments, useValue: new Enrolments({ authority, commands, directories, clock, tenantId, natsUrls, allowance }) },
    { provide: PlanService, useValue: plans },
    { provide: ProcessServerMoves, useValue: new ProcessServerMoves({ commands, directories, inventory, statuses }) },
    { provide: RetentionService, useValue: new RetentionService(recovery, plans) },
    { provide: TargetMoves, useValue: new TargetMoves({ commands, directories, inventory, live, pairsPerTarget: config.pairsPerTarget }) },
    { provide: ResyncQueue, useValue: queue },
    { provide: ResyncService, useValue: new ResyncService({ commands, directories, queue }) },
    { provide: ViewService, useValue: new ViewService(recovery) },
    { provide: BookmarkRecords, useValue: records },
    { provide: BookmarkService, useValue: new BookmarkService(recovery) },
    { provide: QuarantineService, useValue: new QuarantineService(bus, directories) },
    { provide: ScrubService, useValue: new ScrubService(bus, directories) },
    { provide: TraceService, useValue: new TraceService(bus, directories) },
    { provide: History, useValue: new History(store, directories) },
    { provide: ReadModelRebuild, useValue: new ReadModelRebuild(store, directories) },
  ];
}
