// SPDX-License-Identifier: Apache-2.0
import { secureContextOptions, tlsOptions } from '@secondsite/certificates';
import { type ClusterMember, refusedPeerReporter } from '@secondsite/component';
import type { OwnedDataPlane } from '@secondsite/service-kit';
import { allowEveryone, allowRoles } from '@secondsite/transport';
import type { MasterTargetConfig } from '../config';
import { coldStoreConfig } from '../cold/cold-config';
import { EventReporter } from '../control/event-reporter';
import { TargetServer } from '../target/target-server';

export interface DataPlaneOptions {
  readonly config: MasterTargetConfig;
  readonly member: ClusterMember;
  /** The process cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

/** Owns the target server and its threads, which know neither bus nor Nest: opens it with this component's identity, renews its certificate, closes it. */
export class DataPlane implements OwnedDataPlane {
  constructor(
    readonly server: TargetServer,
    /** Where process servers reach it. */
    readonly url: string,
  ) {}

  /** Accepts change sets when it resolves. */
  static async open(options: DataPlaneOptions): Promise<DataPlane> {
    const { config, member } = options;
    if (!config.dataTls) member.log.warn({}, 'SECONDSITE_DATA_TLS=0: change sets are accepted unencrypted and from anybody who reaches this address');
    const server = await openServer(options);
    const { port } = await server.listen();
    member.onRotated((identity) => server.useCertificate({ secureContext: secureContextOptions(identity), tls: tlsOptions(identity) }));
    return new DataPlane(server, `${member.identity && config.dataTls ? 'https' : 'http'}://${config.advertiseHost}:${port}`);
  }

  notReadyReason(): string | undefined {
    return this.server.notReadyReason();
  }

  onApplicationShutdown(): Promise<void> {
    return this.server.close();
  }
}

function openServer({ config, member, onFatal }: DataPlaneOptions): Promise<TargetServer> {
  const { dataDir, listen, advertiseHost, overAllocate, freeBytesMin, cacheBytesMax, memoryBytesMax, scrubBytesPerSecond, scrubRoundMicros, dataTls } = config;
  const { identity } = member;
  const { tenantId, componentId } = member.bus.identity;
  return TargetServer.open({
    dataDir, listen, advertiseHost, overAllocate, dataTls, onFatal,
    reporter: new EventReporter(member),
    limits: { freeBytesMin, cacheBytesMax, memoryBytesMax, scrubBytesPerSecond, scrubRoundMicros },
    cold: config.cold && coldStoreConfig(config.cold, { tenantId, componentId }),
    deduplication: { tenantId, bytesMax: config.deduplicationBytesMax },
    authorize: identity && dataTls ? allowRoles({ tenantId: identity.tenantId, roles: ['process-server', 'agent'] }) : allowEveryone,
    tls: identity && { options: tlsOptions(identity), tenantId: identity.tenantId },
    onRefusedPeer: refusedPeerReporter({ role: 'master-target', outlet: member }),
  });
}
