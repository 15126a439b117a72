// SPDX-License-Identifier: Apache-2.0
import { clientTlsOptions, type ComponentIdentity, secureContextOptions, tlsOptions } from '@secondsite/certificates';
import { type ClusterMember, refusedPeerReporter } from '@secondsite/component';
import type { OwnedDataPlane } from '@secondsite/service-kit';
import { allowEveryone, allowRoles, type Authorize } from '@secondsite/transport';
import type { MasterTargetConfig } from '../config';
import { coldStoreConfig } from '../cold/cold-config';
import { EventReporter } from '../control/event-reporter';
import { TargetServer } from '../target/target-server';
import type { ConnectionOptions } from 'node:tls';

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
    member.onRotated((identity) => server.useCertificate({ secureContext: secureContextOptions(identity), tls: tlsOptions(identity), ...copyTls(config, identity) }));
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
    authorize: identity && dataTls ? allowSendersAndTargets(identity.tenantId) : allowEveryone,
    tls: identity && { options: tlsOptions(identity), tenantId: identity.tenantId },
    ...copyTls(config, identity),
    onRefusedPeer: refusedPeerReporter({ role: 'master-target', outlet: member }),
  });
}

/** Other master targets may only copy pairs, and nobody else may do that; of which pairs is for the server, which knows where they move to. */
function allowSendersAndTargets(tenantId: string): Authorize {
  const senders = allowRoles({ tenantId, roles: ['process-server', 'agent'] });
  const targets = allowRoles({ tenantId, roles: ['master-target'] });
  return (request) => (request.kind === 'copy' ? targets(request) : senders(request));
}

function copyTls({ dataTls }: MasterTargetConfig, identity: ComponentIdentity | undefined): { readonly copyTls?: ConnectionOptions } {
  return identity && dataTls ? { copyTls: clientTlsOptions(identity, { serverRoles: ['master-target'], tenantId: identity.tenantId }) } : {};
}
