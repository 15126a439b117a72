// SPDX-License-Identifier: Apache-2.0
import { clientTlsOptions, type ComponentIdentity, secureContextOptions, tlsOptions } from '@secondsite/certificates';
import { type ClusterMember, refusedPeerReporter } from '@secondsite/component';
import type { OwnedDataPlane } from '@secondsite/service-kit';
import { allowEveryone, allowRoles } from '@secondsite/transport';
import type { ProcessServerConfig } from '../config';
import { EventReporter } from '../control/event-reporter';
import { ProcessServer } from '../process-server';

export interface DataPlaneOptions {
  readonly config: ProcessServerConfig;
  readonly member: ClusterMember;
  /** The process cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

/** Owns the process server, which knows neither bus nor Nest: opens it with this component's identity, renews its certificates, closes it. */
export class DataPlane implements OwnedDataPlane {
  constructor(
    readonly server: ProcessServer,
    /** Where agents reach it. */
    readonly url: string,
  ) {}

  /** Accepts change sets when it resolves. */
  static async open(options: DataPlaneOptions): Promise<DataPlane> {
    const { config, member } = options;
    if (!config.dataTls) member.log.warn({}, 'SECONDSITE_DATA_TLS=0: change sets are accepted unencrypted and from anybody who reaches this address');
    const server = await openServer(options);
    const { port } = await server.listen();
    member.onRotated((identity) => server.useCertificates({ server: secureContextOptions(identity), client: targetTls(identity) }));
    return new DataPlane(server, `${member.identity && config.dataTls ? 'https' : 'http'}://${config.advertiseHost}:${port}`);
  }

  notReadyReason(): string | undefined {
    return this.server.notReadyReason();
  }

  onApplicationShutdown(): Promise<void> {
    return this.server.close();
  }
}

function openServer({ config, member, onFatal }: DataPlaneOptions): Promise<ProcessServer> {
  const { dataDir, listen, freeBytesMin, memoryBytesMax, deduplicationBytesMax, scrub } = config;
  const { identity } = member;
  const secured = config.dataTls ? identity : undefined;
  return ProcessServer.open({
    dataDir, listen, freeBytesMin, memoryBytesMax, scrub, onFatal,
    reporter: new EventReporter(member),
    deduplication: { tenantId: member.bus.identity.tenantId, bytesMax: deduplicationBytesMax },
    authorize: secured ? allowRoles({ tenantId: secured.tenantId, roles: ['agent'] }) : allowEveryone,
    serverTls: secured && tlsOptions(secured),
    clientTls: identity && targetTls(identity),
    onRefusedPeer: refusedPeerReporter({ role: 'process-server', outlet: member }),
  });
}

function targetTls(identity: ComponentIdentity) {
  return clientTlsOptions(identity, { serverRoles: ['master-target'], tenantId: identity.tenantId });
}
